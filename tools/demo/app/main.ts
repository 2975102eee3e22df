/**
 * The app of the demo: knows nothing of nocreds. Its SDK finds credentials by the default chain, and it
 * says who it is once a second, until it has used three sets of credentials.
 */
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const WANTED_SETS = 3
const MAX_CALLS = 40

const sts = new STSClient({})
const seen = new Set<string>()

for (let call = 0; call < MAX_CALLS && seen.size < WANTED_SETS; call += 1) {
  const { Arn } = await sts.send(new GetCallerIdentityCommand({}))
  const { accessKeyId, expiration } = await sts.config.credentials()
  if (!seen.has(accessKeyId)) {
    seen.add(accessKeyId)
    const until = expiration?.toISOString().slice(11, 19) ?? 'unknown'
    console.log(`I am ${String(Arn)}   credentials ${String(seen.size)}, until ${until}`)
  }
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
if (seen.size < WANTED_SETS)
  throw new Error(`only ${String(seen.size)} sets of credentials were seen`)
