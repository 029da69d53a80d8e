resource "aws_s3_bucket" "maintenance" {
  bucket = var.bucket
}

# Nobody reads the bucket itself: CloudFront does.
resource "aws_s3_bucket_public_access_block" "maintenance" {
  bucket                  = aws_s3_bucket.maintenance.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "maintenance" {
  bucket = aws_s3_bucket.maintenance.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Not KMS: with its keys an ETag is no longer the content's MD5, and publish would send everything each time.
resource "aws_s3_bucket_server_side_encryption_configuration" "maintenance" {
  bucket = aws_s3_bucket.maintenance.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# What somebody overwrites by mistake can be had back for a while.
resource "aws_s3_bucket_versioning" "maintenance" {
  bucket = aws_s3_bucket.maintenance.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "maintenance" {
  bucket     = aws_s3_bucket.maintenance.id
  depends_on = [aws_s3_bucket_versioning.maintenance]

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "maintenance" {
  bucket     = aws_s3_bucket.maintenance.id
  depends_on = [aws_s3_bucket_public_access_block.maintenance]

  policy = templatefile("${path.module}/bucket-policy.json", {
    bucket       = aws_s3_bucket.maintenance.id
    distribution = aws_cloudfront_distribution.maintenance.arn
  })
}
