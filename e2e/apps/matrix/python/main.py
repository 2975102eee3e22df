"""See ../README.md."""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

arn = boto3.client("sts").get_caller_identity()["Arn"]
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
bucket = os.environ["BUCKET"]
s3.put_object(Bucket=bucket, Key="key", Body=b"hello")
got = s3.get_object(Bucket=bucket, Key="key")["Body"].read().decode()
try:
    s3.put_object(Bucket=os.environ["OTHER_BUCKET"], Key="key", Body=b"hello")
    refused = "granted"
except ClientError as error:
    refused = error.response["Error"]["Code"]
print(json.dumps({"version": boto3.__version__, "arn": arn, "got": got, "refused": refused}))
