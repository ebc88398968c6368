/** The key of a module's private record. A property and not `#private`: copies are made without the constructor. */
export const SLOT: unique symbol = Symbol("pax.module");
