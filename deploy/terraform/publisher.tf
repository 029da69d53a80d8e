# What the host's conforma-status may do: put, get and list on its own prefix. It can't delete, unless prune is set, nor
# change the bucket's policy, its ACLs or its settings, nor touch another prefix. deploy/e2e tries all of that on an S3 server.
resource "aws_iam_policy" "publisher" {
  name        = "${var.bucket}-publisher"
  description = "conforma-status publish, set, get and doctor"

  policy = templatefile("${path.module}/publisher-policy.json", {
    bucket = aws_s3_bucket.maintenance.id
    prefix = var.prefix
  })
}

resource "aws_iam_policy" "prune" {
  count       = var.prune ? 1 : 0
  name        = "${var.bucket}-prune"
  description = "conforma-status publish --prune"

  policy = templatefile("${path.module}/prune-policy.json", {
    bucket = aws_s3_bucket.maintenance.id
    prefix = var.prefix
  })
}

resource "aws_iam_role" "publisher" {
  name = "${var.bucket}-publisher"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "publisher" {
  role       = aws_iam_role.publisher.name
  policy_arn = aws_iam_policy.publisher.arn
}

resource "aws_iam_role_policy_attachment" "prune" {
  count      = var.prune ? 1 : 0
  role       = aws_iam_role.publisher.name
  policy_arn = aws_iam_policy.prune[0].arn
}

# For the application's host, on EC2: it needs no keys then.
resource "aws_iam_instance_profile" "publisher" {
  name = "${var.bucket}-publisher"
  role = aws_iam_role.publisher.name
}

# For a host elsewhere.
resource "aws_iam_user" "publisher" {
  count = var.publisher_user ? 1 : 0
  name  = "${var.bucket}-publisher"
}

resource "aws_iam_user_policy_attachment" "publisher" {
  count      = var.publisher_user ? 1 : 0
  user       = aws_iam_user.publisher[0].name
  policy_arn = aws_iam_policy.publisher.arn
}

resource "aws_iam_user_policy_attachment" "prune" {
  count      = var.publisher_user && var.prune ? 1 : 0
  user       = aws_iam_user.publisher[0].name
  policy_arn = aws_iam_policy.prune[0].arn
}
