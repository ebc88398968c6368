/**
 * Resolves in the next turn of the event loop. Pages make nested timers wait 4 ms, messages not; in edge runtimes, which have no
 * workers, a message is no turn after which finalizers run.
 */
export const nextTurn = (): Promise<void> => new Promise((resolve) => {
  if (typeof setImmediate === "function") return void setImmediate(resolve);
  if (typeof Worker === "undefined") return void setTimeout(resolve);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve();
  };
  port2.postMessage(0);
});
