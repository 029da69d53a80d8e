variable "region" {
  description = "The region of the bucket: not the application's, if the page is to outlive a failure of that one."
  type        = string
}

variable "bucket" {
  description = "The bucket's name, as in store = \"s3://NAME\"."
  type        = string
}

variable "domain" {
  description = "Where the page is served, as in page_url = \"https://DOMAIN\"."
  type        = string
}

variable "zone_id" {
  description = "The Route 53 zone of the domain. Null: make the records of the output dns_records yourself, while apply waits."
  type        = string
  default     = null
}

variable "prefix" {
  description = "What the publisher may touch: \"\" for all of the bucket, or \"pages/\" for store = \"s3://NAME/pages\"."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[^/*?$]+(/[^/*?$]+)*/$", var.prefix))
    error_message = "The prefix is empty, or ends in a slash and begins with none."
  }
}

variable "prune" {
  description = "Whether publish --prune may delete pages that are no longer built."
  type        = bool
  default     = false
}

variable "publisher_user" {
  description = "Also make an IAM user, for hosts outside EC2. Its access key is made by hand, so that it is in no state file."
  type        = bool
  default     = false
}

variable "fleet_bucket" {
  description = "The private bucket of several hosts that follow one switch, as in store under [fleet]. Null: there is one host."
  type        = string
  default     = null
}

variable "status_ttl" {
  description = "Seconds for which CloudFront may keep what says no-cache. 0: each poll is revalidated; 1: one request a second at S3, however many poll."
  type        = number
  default     = 0
}

variable "price_class" {
  description = "Where CloudFront serves from: PriceClass_All has the edges of the Pacific, Asia and Africa."
  type        = string
  default     = "PriceClass_All"
}

variable "log_days" {
  description = "How long access logs are kept. They hold visitors' addresses."
  type        = number
  default     = 30
}

variable "sites" {
  description = "Sites to put behind CloudFront, by name, so that the standby answers while their host is off. calls are the paths that take other methods than GET."
  default     = {}

  type = map(object({
    domain          = string                # what visitors type; CloudFront serves it at ports 80 and 443 alone
    host            = string                # a name that leads to the host, and stays there
    standby         = string                # one that leads to the machine with the configuration of render --standby
    certificate_arn = string                # of the domain, in us-east-1
    port            = optional(number, 443) # where both serve it by TLS
    calls           = optional(list(string), ["/server/*", "/websocket/*", "/.conforma-status/pass"])
  }))
}
