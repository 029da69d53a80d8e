terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

provider "aws" {
  region = var.region
}

# CloudFront takes its certificates from this region alone.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}
