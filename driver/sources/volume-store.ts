import { createMutex } from '../../exchanger/mutex.ts'
import type { Store } from '../../exchanger/publish/store.ts'

/** The files of one kind of item in one pod's volume. */
export interface VolumeFiles<Item> {
  /** What an earlier process left; undefined if there is none. */
  read(): Promise<Item | undefined>
  write(item: Item): Promise<void>
  remove(): Promise<void>
}

/**
 * A store on a pod's volume. It begins with what an earlier process left there, and removes that if it is not usable.
 *
 * @param isUsable whether what was found may stay
 * @throws DriverError if the volume cannot be read
 */
export async function openVolumeStore<Item>(
  files: VolumeFiles<Item>,
  isUsable: (found: Item) => boolean,
): Promise<Store<Item>> {
  let current: Item | undefined = await files.read()
  if (current !== undefined && !isUsable(current)) {
    current = undefined
    await files.remove()
  }
  const exclusive = createMutex() // a removal must never delete the files of a later item
  return {
    current: () => current,
    publish: (item) =>
      exclusive(async () => {
        await files.write(item)
        current = item
      }),
    withdraw: (item) =>
      exclusive(async () => {
        if (current !== item) return
        current = undefined // even if the files cannot be removed
        await files.remove()
      }),
  }
}
