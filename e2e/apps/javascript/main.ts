/**
 * An app that knows nothing of nocreds: the JavaScript SDK finds credentials by its default chain. Prints
 * who it is, as JSON.
 */
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const { Account, Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}))
console.log(JSON.stringify({ account: Account, arn: Arn }))
