/**
 * What the exchanger's first credentials are held against: a program that makes the same call with the
 * same SDK, bundled the same way, and checks and publishes nothing.
 */
import { readFileSync } from 'node:fs'
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const client = new STSClient({
  region: process.env['NOCREDS_REGION'] ?? '',
  endpoint: process.env['NOCREDS_STS_ENDPOINT'] ?? '',
})
const { Credentials } = await client.send(
  new AssumeRoleWithWebIdentityCommand({
    RoleArn: process.env['NOCREDS_ROLE_ARN'],
    RoleSessionName: 'bare',
    WebIdentityToken: readFileSync(process.env['NOCREDS_TOKEN_FILE'] ?? '', 'utf8'),
  }),
)
console.log(JSON.stringify(Credentials))
process.exit(0)
