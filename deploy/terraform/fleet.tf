# Several hosts that follow one switch: a bucket of their own, which nobody reads but them. Each host has a role of its own
# with the tag conforma-host, its name under [fleet]: by that it writes its own receipt and no other.
resource "aws_s3_bucket" "fleet" {
  count  = var.fleet_bucket == null ? 0 : 1
  bucket = var.fleet_bucket
}

resource "aws_s3_bucket_public_access_block" "fleet" {
  count                   = var.fleet_bucket == null ? 0 : 1
  bucket                  = aws_s3_bucket.fleet[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "fleet" {
  count  = var.fleet_bucket == null ? 0 : 1
  bucket = aws_s3_bucket.fleet[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# For each host's role, beside the publisher's policy.
resource "aws_iam_policy" "fleet" {
  count       = var.fleet_bucket == null ? 0 : 1
  name        = "${var.fleet_bucket}-host"
  description = "conforma-status follow, set, get and doctor on a host of a fleet"

  policy = templatefile("${path.module}/fleet-policy.json", {
    fleet  = aws_s3_bucket.fleet[0].id
    bucket = aws_s3_bucket.maintenance.id
    prefix = var.prefix
  })
}

# For whoever takes a host out of the fleet, and for no host.
resource "aws_iam_policy" "forget" {
  count       = var.fleet_bucket == null ? 0 : 1
  name        = "${var.fleet_bucket}-forget"
  description = "conforma-status fleet forget"

  policy = templatefile("${path.module}/forget-policy.json", {
    fleet = aws_s3_bucket.fleet[0].id
  })
}

output "fleet_policies" {
  description = "The policies for each host's role, and for whoever runs fleet forget."
  value       = concat(aws_iam_policy.fleet[*].arn, aws_iam_policy.forget[*].arn)
}
