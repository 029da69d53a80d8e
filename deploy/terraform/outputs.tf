output "config" {
  description = "The lines for config.toml."
  value       = <<-EOT
    store    = "s3://${trimsuffix("${var.bucket}/${var.prefix}", "/")}"
    page_url = "https://${var.domain}"

    [s3]
    region = "${var.region}"
  EOT
}

output "instance_profile" {
  description = "For the application's host: aws ec2 associate-iam-instance-profile --iam-instance-profile Name=…"
  value       = aws_iam_instance_profile.publisher.name
}

output "dns_records" {
  description = "What has to be in the DNS; made already where zone_id is given."
  value = {
    (local.validation.resource_record_name) = "${local.validation.resource_record_type} ${local.validation.resource_record_value}"
    (var.domain)                            = "CNAME ${aws_cloudfront_distribution.maintenance.domain_name}"
  }
}

output "site_domains" {
  description = "Where the domain of each of the sites has to lead: a CNAME, or an alias."
  value       = zipmap(keys(aws_cloudfront_distribution.site), values(aws_cloudfront_distribution.site)[*].domain_name)
}
