"""The objects of the S3 server that the variables ALLUVIUM_TEST_S3_* name.

usage: objects.py make-bucket
       objects.py fetch PREFIX DIRECTORY    (prints how many objects and bytes)
"""

import os
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config


def client(attempts):
    return boto3.client(
        "s3",
        endpoint_url=os.environ["ALLUVIUM_TEST_S3_ENDPOINT"],
        aws_access_key_id=os.environ["ALLUVIUM_TEST_S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["ALLUVIUM_TEST_S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": attempts},
            max_pool_connections=8,
        ),
    )


def make_bucket(s3, bucket):
    present = {entry["Name"] for entry in s3.list_buckets()["Buckets"]}
    if bucket not in present:
        s3.create_bucket(Bucket=bucket)
    # Listed is not yet writable: the volumes behind it may still be starting.
    s3.put_object(Bucket=bucket, Key=".ready", Body=b"ready")
    s3.delete_object(Bucket=bucket, Key=".ready")


def fetch(s3, bucket, prefix, directory):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def one(key):
        path = pathlib.Path(directory, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        path.write_bytes(body)
        return len(body)

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(one, keys))
    print(len(keys), sum(sizes))


def main():
    bucket = os.environ["ALLUVIUM_TEST_S3_BUCKET"]
    match sys.argv[1:]:
        case ["make-bucket"]:
            make_bucket(client(1), bucket)
        case ["fetch", prefix, directory]:
            fetch(client(5), bucket, prefix, directory)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
