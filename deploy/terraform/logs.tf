# Who asked CloudFront, and who put what into the bucket.
resource "aws_s3_bucket" "logs" {
  bucket = "${var.bucket}-logs"
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# CloudFront's standard logs need a bucket with ACLs.
resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    object_ownership = "BucketOwnerPreferred"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_days
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  depends_on = [aws_s3_bucket_public_access_block.logs]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccessLogs"
      Effect    = "Allow"
      Principal = { Service = "logging.s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.logs.arn}/s3/*"
      Condition = { ArnLike = { "aws:SourceArn" = aws_s3_bucket.maintenance.arn } }
    }]
  })
}

resource "aws_s3_bucket_logging" "maintenance" {
  bucket        = aws_s3_bucket.maintenance.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "s3/"
}
