# conforma-status: "make help" lists what can be made here.

.DEFAULT_GOAL := build
.ONESHELL:
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: build demo test soak lint golden screenshots publish bench deb image release clean help tested
.PHONY: need-go need-demo need-test need-web need-soak need-bench need-lint

BIN         := bin/conforma-status
CRASH_BIN   := bin/conforma-status-crash
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT      ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export VERSION COMMIT SOURCE_DATE_EPOCH
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
MODULES     := . deploy/e2e
# What it is built for. On macOS content is written and published; no test runs there.
PLATFORMS   := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
RETRY       := $(CURDIR)/.ci/retry

# Compilers spend a third of their time on collecting memory that they are soon done with (a GiB each is not too much), and
# on tables for debuggers that no binary made here has. What is linted is compiled by the same flags, so that all of it is compiled once.
# What only the end-to-end tests are made of is compiled without inlining, which saves a third of that.
TESTS_ONLY := versity segmentio gofiber hashicorp klauspost valyala andybalholm go-json-experiment nats-io chromedp rabbitmq \
  tinylib santhosh-tekuri msupply-foundation/conforma-status/deploy
export GOFLAGS := $(GOFLAGS) -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
  $(foreach of,$(TESTS_ONLY),'-gcflags=github.com/$(of)/...=-dwarf=false -l')
build tested lint test soak: export GOGC := 800
build tested lint test soak: export GOMEMLIMIT := 1GiB
lint: export CGO_ENABLED := 0
TOP_LEVEL   := cmd site content status nginxconf deploy go.mod go.sum Makefile README.md bin dist coverage
SCRIPTS     := $(wildcard .ci/* deploy/*.sh deploy/*/*.sh deploy/package/p*inst deploy/package/p*rm) \
  $(addprefix deploy/e2e/conforma/testdata/,docker sudo) deploy/systemd/conforma-status-generator

# What all the fuzz targets together may take in "make soak", and one of them at most, in seconds.
FUZZ_TIME     := 120
FUZZ_TIME_ONE := 20

# nginx lives in /usr/sbin, which is not on an ordinary user's PATH, and PostgreSQL's server in a directory of its own.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin
export CONFORMA_STATUS_BIN := $(CURDIR)/$(BIN)
export CONFORMA_STATUS_CRASH_BIN := $(CURDIR)/$(CRASH_BIN)

##@ Every day

## build: bin/conforma-status
build: need-go
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o $(BIN) ./cmd/conforma-status

## demo: the whole thing on this machine, on loopback
demo: need-demo build
	@$(BIN) demo

## publish: build the maintenance site and upload what changed (CONFIG=FILE for another configuration)
publish: build
	@$(BIN) $(if $(CONFIG),--config "$(CONFIG)") publish

## lint: formatting, vet, staticcheck, shellcheck, tidy modules, other platforms, who imports whom, long comments, nothing stray at the top level
lint: need-lint
	@files=$$(gofmt -l .)
	[ -z "$$files" ] || { echo "not gofmt'ed: $$files"; exit 1; }
	for module in $(MODULES); do
	  echo "lint $$module"
	  (cd $$module && go mod verify >/dev/null && $(RETRY) go mod tidy -diff)
	  (cd $$module && go vet -tags soak ./... && go run $(STATICCHECK) -tags soak ./...)
	done
	for platform in $(PLATFORMS); do
	  echo "lint $$platform"
	  (export CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/}; go vet -trimpath ./... && go build -trimpath -buildvcs=false -o /dev/null ./cmd/conforma-status)
	done
	.ci/arrows
	.ci/columns
	shellcheck $(SCRIPTS)
	for entry in *; do
	  case " $(TOP_LEVEL) " in *" $$entry "*) ;; *) echo "at the top level: $$entry"; exit 1 ;; esac
	done
	echo "make lint: clean"

# What the end-to-end tests run: the program, and one that ends itself at each step of a change.
tested: build
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -tags crashpoints -o $(CRASH_BIN) ./cmd/conforma-status

## test: all tests, against a real nginx, S3 server, PostgreSQL and browser
test: need-web tested
	@.ci/test

##@ Looking after it

## soak: what takes longer: the soak tests, the race detector, and a while of every fuzz target
soak: need-soak tested
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT
	go test -race -vet=off -count=1 ./...
	.ci/soak >"$$log" 2>&1 || { cat "$$log"; .ci/failures "$$log"; exit 1; }
	grep -E '^(ok|TestSoak[A-Za-z]+:|--- PASS)' "$$log"
	.ci/fuzz $(FUZZ_TIME) $(FUZZ_TIME_ONE)
	echo "make soak: passed"

## bench: all benchmarks as one table, in dist/ (UPDATE=1 puts it into deploy/FIGURES.md too; measure on a machine that is idle)
bench: need-web need-bench build
	@cd deploy/e2e
	go build -o ../../bin/benchtable ./internal/benchtable
	../../bin/benchtable $(if $(UPDATE),-update ../FIGURES.md)

## golden: write every file anew that a test compares with; git shows what has changed
golden: need-test build
	@.ci/golden

## screenshots: take the pictures of the README and the handbook anew
screenshots: need-test build
	@cd deploy/e2e
	go test -vet=off -count=1 -run '^TestPictures$$' ./page -update
	go test -vet=off -count=1 -run '^TestDemoOnce$$' ./commands -update

## clean: remove what was built
clean:
	@rm -rf bin dist coverage

## help: this list
help:
	@sed -nE 's/^##@ (.*)/\n\1/p; s/^## ([a-z]+): /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

##@ Releasing

## deb: the Debian package, in dist/ (ARCH=arm64 for another architecture than this machine's)
deb: need-go
	@deploy/package/build.sh deb $(ARCH)

## image: the container image for publish, preview and gate, in dist/ (ARCH=arm64 for another architecture)
image: need-go
	@.ci/install buildah:buildah
	deploy/package/build.sh image $(ARCH)

## release: archives for Linux and macOS and packages, for amd64 and arm64, with checksums, in dist/; the same source gives the same bytes
release: need-go
	@deploy/package/build.sh release

# What the targets above need, and a machine that lacks it gets: Debian packages by .ci/install, Go modules, npm packages.
need-go:
	@command -v go >/dev/null || { echo "missing: go 1.26 or newer, from https://go.dev/dl/" >&2; exit 1; }
	$(RETRY) go mod download || true # without a network: the build says what is missing

need-demo: need-go
	@.ci/install nginx:nginx

# The race detector needs a C compiler. nginx's module for TCP has a package of its own.
STREAM := /usr/lib/nginx/modules/ngx_stream_module.so
need-test: need-go
	@.ci/install nginx:nginx $(STREAM):libnginx-mod-stream gcc:gcc+libc6-dev node:nodejs npm:npm \
	  chromium-headless-shell:chromium-headless-shell initdb:postgresql-15 caddy:caddy systemd-analyze:systemd \
	  logrotate:logrotate curl:curl openssl:openssl w3m:w3m strace:strace rsync:rsync ip:iproute2
	(cd deploy/e2e && $(RETRY) go mod download) || true

# The packages that the front end's test application is built with and that its client and the pages are judged by; their
# own scripts don't run. npm leaves out what is optional and asks for a newer Node.js than it runs on: it runs on the
# newer one where that is there already.
WEB := esbuild apollo3 apollo4 conforma package axe
need-web: need-test
	@for app in $(WEB); do
	  cd $(CURDIR)/deploy/e2e/web/$$app
	  cmp -s package-lock.json node_modules/installed && continue
	  PATH="$$(echo $(CURDIR)/deploy/e2e/web/node/node_modules/node-linux-*/bin):$$PATH" $(RETRY) npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	  cp package-lock.json node_modules/installed
	done

# Lighthouse, applications of other bundlers, a Debian of its own, in which the package lives, a second browser, and what makes the package.
need-soak: WEB += lighthouse node vite webpack workbox
need-soak: need-web
	@.ci/install debootstrap:debootstrap firefox-esr:firefox-esr buildah:buildah haproxy:haproxy keepalived:keepalived \
		ansible-playbook:ansible-core \
		/usr/lib/python3/dist-packages/icalendar/__init__.py:python3-icalendar
	$(RETRY) go run "$$(sed -n 's/^nfpm=//p' deploy/package/build.sh)" --version >/dev/null

# The gate is measured beside the same check in njs, a module of nginx and not a program.
need-bench: need-test
	@.ci/install /usr/lib/nginx/modules/ngx_http_js_module.so:libnginx-mod-http-js

need-lint: need-go
	@.ci/install shellcheck:shellcheck
	$(RETRY) go run $(STATICCHECK) -version >/dev/null
