import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.sts.StsClient;

/** See ../README.md. */
class Main {
  public static void main(String[] args) {
    String arn;
    try (var sts = StsClient.create()) {
      arn = sts.getCallerIdentity().arn();
    }
    try (var s3 = S3Client.builder().forcePathStyle(true).build()) {
      var bucket = System.getenv("BUCKET");
      put(s3, bucket);
      var got = s3.getObjectAsBytes(o -> o.bucket(bucket).key("key")).asUtf8String();
      var refused = "granted";
      try {
        put(s3, System.getenv("OTHER_BUCKET"));
      } catch (S3Exception error) {
        refused = error.awsErrorDetails().errorCode();
      }
      System.out.printf(
          "{\"version\":\"%s\",\"arn\":\"%s\",\"got\":\"%s\",\"refused\":\"%s\"}%n",
          VersionInfo.SDK_VERSION, arn, got, refused);
    }
  }

  private static void put(S3Client s3, String bucket) {
    s3.putObject(o -> o.bucket(bucket).key("key"), RequestBody.fromString("hello"));
  }
}
