// See ../README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	must(err)
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	must(err)
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	put := func(bucket string) error {
		object := &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("key"), Body: strings.NewReader("hello")}
		_, err := client.PutObject(ctx, object)
		return err
	}
	bucket := os.Getenv("BUCKET")
	must(put(bucket))
	object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("key")})
	must(err)
	got, err := io.ReadAll(object.Body)
	must(err)

	refused := "granted"
	if err := put(os.Getenv("OTHER_BUCKET")); err != nil {
		var answer smithy.APIError
		if !errors.As(err, &answer) {
			log.Fatal(err)
		}
		refused = answer.ErrorCode()
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{
		"version": aws.SDKVersion, "arn": *identity.Arn, "got": string(got), "refused": refused,
	}))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
