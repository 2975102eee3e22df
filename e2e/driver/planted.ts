import { expect } from '@jest/globals'
import { credentialsOnNode, driverLog, inCredentials } from '../support/driver.ts'
import { onNode } from '../support/node.ts'
import type { Suite } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

/** A file of the node that no pod may reach. */
const treasureOf = ({ prefix }: Suite): string => `/root/${prefix}-treasure`

/**
 * Puts links to a file of the node where the driver writes, as an app could if its mount were writable; the guard
 * sees to it that it is not.
 */
export async function plantLinks(suite: Suite, uid: string): Promise<void> {
  const treasure = treasureOf(suite)
  await onNode(suite.host, 'sh', '-c', `echo gold > ${treasure} && chmod 666 ${treasure}`)
  const names = ['credentials.json', 'config', '.credentials.json.0123456789ab']
  const links = names.map((name) => `ln -sfn ${treasure} ${name}`)
  await inCredentials(suite, uid, links.join(' && '))
}

/** Waits until the driver has written its files in place of the links; what those led to is as it was. */
export async function expectReplaced(suite: Suite, uid: string): Promise<void> {
  const files = 'stat --format=%F,%a,%u credentials.json config'
  await waitFor(`the files of ${uid} to be written`, 120_000, async () => {
    const seen = await inCredentials(suite, uid, files)
    return seen === 'regular file,644,0\nregular file,644,0' ? true : undefined
  })
  expect(await onNode(suite.host, 'cat', treasureOf(suite))).toBe('gold')
}

/** Puts a folder with something in it where the driver writes. */
export async function plantFolder(suite: Suite, uid: string): Promise<void> {
  await inCredentials(
    suite,
    uid,
    'mv credentials.json away && mkdir credentials.json && mv away credentials.json',
  )
}

/** Waits until the driver has said what is in its way; it removed nothing. */
export async function expectOccupied(suite: Suite, uid: string): Promise<void> {
  await waitFor(`the driver to say what is in its way in ${uid}`, 120_000, async () => {
    const lines = await driverLog(suite)
    return lines.find((line) => line['uid'] === uid && line['code'] === 'ERR_VOLUME_OCCUPIED')
  })
  expect(await onNode(suite.host, 'ls', `${credentialsOnNode(uid)}/credentials.json`)).toBe('away')
}

export async function removeTreasure(suite: Suite): Promise<void> {
  await onNode(suite.host, 'rm', '-f', treasureOf(suite))
}
