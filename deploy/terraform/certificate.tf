resource "aws_acm_certificate" "maintenance" {
  provider          = aws.us_east_1
  domain_name       = var.domain
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  validation = one(aws_acm_certificate.maintenance.domain_validation_options)
}

resource "aws_route53_record" "validation" {
  count           = var.zone_id == null ? 0 : 1
  zone_id         = var.zone_id
  name            = local.validation.resource_record_name
  type            = local.validation.resource_record_type
  records         = [local.validation.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

# Waits until the certificate is issued, which needs the record, whoever makes it.
resource "aws_acm_certificate_validation" "maintenance" {
  provider        = aws.us_east_1
  certificate_arn = aws_acm_certificate.maintenance.arn
  depends_on      = [aws_route53_record.validation]
}

resource "aws_route53_record" "page" {
  for_each = var.zone_id == null ? toset([]) : toset(["A", "AAAA"])
  zone_id  = var.zone_id
  name     = var.domain
  type     = each.key

  alias {
    name                   = aws_cloudfront_distribution.maintenance.domain_name
    zone_id                = aws_cloudfront_distribution.maintenance.hosted_zone_id
    evaluate_target_health = false
  }
}
