# A site behind CloudFront, which asks the host, and the machine that answers while that is off where the host doesn't answer.
# Not needed where an address is moved between the two.
data "aws_cloudfront_cache_policy" "disabled" {
  name = "Managed-CachingDisabled"
}

# With the visitor's Host, by which both machines tell their sites, and which their certificates are for.
data "aws_cloudfront_origin_request_policy" "all" {
  name = "Managed-AllViewer"
}

resource "aws_cloudfront_distribution" "site" {
  for_each = var.sites

  comment         = "Site ${each.key}: its host, else the standby"
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = var.price_class
  aliases         = [each.value.domain]

  origin {
    origin_id           = "host"
    domain_name         = each.value.host
    connection_attempts = 1
    connection_timeout  = 3

    custom_origin_config {
      http_port              = 80
      https_port             = each.value.port
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 60
    }
  }

  origin {
    origin_id           = "standby"
    domain_name         = each.value.standby
    connection_attempts = 1
    connection_timeout  = 3

    custom_origin_config {
      http_port              = 80
      https_port             = each.value.port
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  # No answer counts as 504. A 503 is what a closed site says to scripts, and stays the host's.
  origin_group {
    origin_id = "whoever answers"

    failover_criteria {
      status_codes = [502, 504]
    }

    member {
      origin_id = "host"
    }

    member {
      origin_id = "standby"
    }
  }

  # CloudFront goes on to a second origin for these methods alone.
  default_cache_behavior {
    target_origin_id         = "whoever answers"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS"]
    cached_methods           = ["GET", "HEAD"]
    compress                 = true
    cache_policy_id          = data.aws_cloudfront_cache_policy.disabled.id
    origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all.id
  }

  # What takes other methods is asked of the host alone.
  dynamic "ordered_cache_behavior" {
    for_each = each.value.calls

    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = "host"
      viewer_protocol_policy   = "redirect-to-https"
      allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
      cached_methods           = ["GET", "HEAD"]
      compress                 = true
      cache_policy_id          = data.aws_cloudfront_cache_policy.disabled.id
      origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all.id
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    acm_certificate_arn      = each.value.certificate_arn
    minimum_protocol_version = "TLSv1.2_2021"
    ssl_support_method       = "sni-only"
  }
}
