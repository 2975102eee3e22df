/** Flags of Node in the driver's image: without them V8 lets garbage of published pods grow to 90 MiB. */
export const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64'] as const

/** Environment of the image: each thread of Node would have an arena of its own. */
export const IMAGE_ENV = { MALLOC_ARENA_MAX: '1' } as const
