/** See ../README.md. */
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { version } from '@aws-sdk/client-s3/package.json'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const { BUCKET, OTHER_BUCKET } = process.env
const { Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}))
const s3 = new S3Client({ forcePathStyle: true })
const put = (Bucket) => s3.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'hello' }))
await put(BUCKET)
const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'key' }))
const got = await Body.transformToString()
const refused = await put(OTHER_BUCKET).then(
  () => 'granted',
  (error) => error.name,
)
console.log(JSON.stringify({ version, arn: Arn, got, refused }))
