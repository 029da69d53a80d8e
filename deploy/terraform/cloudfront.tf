resource "aws_cloudfront_origin_access_control" "maintenance" {
  name                              = var.bucket
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# What an object's own Cache-Control says counts: no-cache for status.json and the pages.
resource "aws_cloudfront_cache_policy" "maintenance" {
  name        = replace(var.bucket, ".", "-")
  min_ttl     = var.status_ttl
  default_ttl = var.status_ttl
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# Pages of any origin may read the status, with the server's clock.
resource "aws_cloudfront_response_headers_policy" "maintenance" {
  name = replace(var.bucket, ".", "-")

  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 3600
    origin_override                  = true

    access_control_allow_headers {
      items = ["*"]
    }

    access_control_allow_methods {
      items = ["GET", "HEAD"]
    }

    access_control_allow_origins {
      items = ["*"]
    }

    access_control_expose_headers {
      items = ["Date", "Age", "ETag"]
    }
  }

  security_headers_config {
    content_type_options {
      override = true
    }

    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = false
    }
  }
}

resource "aws_cloudfront_function" "folders" {
  name    = "${replace(var.bucket, ".", "-")}-folders"
  comment = "A folder is answered by its index.html"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/folders.js")
}

resource "aws_cloudfront_distribution" "maintenance" {
  comment             = "Maintenance page, ${var.bucket}"
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = var.price_class
  aliases             = [var.domain]
  default_root_object = "index.html"

  origin {
    origin_id                = "bucket"
    domain_name              = aws_s3_bucket.maintenance.bucket_regional_domain_name
    origin_path              = var.prefix == "" ? "" : "/${trimsuffix(var.prefix, "/")}"
    origin_access_control_id = aws_cloudfront_origin_access_control.maintenance.id
  }

  default_cache_behavior {
    target_origin_id           = "bucket"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.maintenance.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.maintenance.id

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.folders.arn
    }
  }

  # What isn't there is 403: CloudFront may not list the bucket. What has just been published is to be seen at once.
  custom_error_response {
    error_code            = 403
    error_caching_min_ttl = 0
  }

  custom_error_response {
    error_code            = 404
    error_caching_min_ttl = 0
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    acm_certificate_arn      = aws_acm_certificate_validation.maintenance.certificate_arn
    minimum_protocol_version = "TLSv1.2_2021"
    ssl_support_method       = "sni-only"
  }

  logging_config {
    bucket          = aws_s3_bucket.logs.bucket_domain_name
    prefix          = "cloudfront/"
    include_cookies = false
  }

  depends_on = [aws_s3_bucket_ownership_controls.logs]
}
