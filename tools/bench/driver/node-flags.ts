/** Flags of Node in the driver's image: without them V8 lets garbage of published pods grow to 90 MiB. */
export const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64'] as const
