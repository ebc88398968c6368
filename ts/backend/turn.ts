/** Resolves in the next turn of the event loop. Pages make nested timers wait 4 ms, messages not. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => {
  if (typeof setImmediate === "function") {
    setImmediate(resolve);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve();
  };
  port2.postMessage(0);
});
