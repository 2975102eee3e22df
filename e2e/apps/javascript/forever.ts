/**
 * An app that keeps running: one client of the SDK for its whole lifetime, which asks who it is each second. Prints a line
 * for each answer: who, and a digest of the key that signed the question, so that a new key shows.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const client = new STSClient({ maxAttempts: 1 })
for (;;) {
  try {
    const { Account, Arn } = await client.send(new GetCallerIdentityCommand({}))
    const { accessKeyId } = await client.config.credentials()
    const key = createHash('sha256').update(accessKeyId).digest('hex').slice(0, 12)
    console.log(JSON.stringify({ account: Account, arn: Arn, key }))
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error) }))
  }
  await sleep(1000)
}
