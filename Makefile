# conforma-status: "make help" lists what can be made here.

.DEFAULT_GOAL := build
.ONESHELL:
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: build demo test soak lint publish bench deb release clean help tested need-go need-demo need-test need-web need-soak need-bench need-lint

BIN         := bin/conforma-status
CRASH_BIN   := bin/conforma-status-crash
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT      ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export VERSION COMMIT SOURCE_DATE_EPOCH
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
MODULES     := . deploy/e2e
TOP_LEVEL   := cmd site content status nginxconf deploy go.mod go.sum Makefile README.md bin dist coverage
SCRIPTS     := .ci/run $(wildcard deploy/*.sh deploy/*/*.sh deploy/package/p*inst deploy/package/p*rm) \
  $(addprefix deploy/e2e/testdata/conforma/,docker sudo) deploy/systemd/conforma-status-generator

# What all the fuzz targets together may take in "make soak", and one of them at most, in seconds.
FUZZ_TIME     := 120
FUZZ_TIME_ONE := 20

# nginx lives in /usr/sbin, which is not on an ordinary user's PATH, and PostgreSQL's server in a directory of its own.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin
export CONFORMA_STATUS_BIN := $(CURDIR)/$(BIN)
export CONFORMA_STATUS_CRASH_BIN := $(CURDIR)/$(CRASH_BIN)

## build: bin/conforma-status
build: need-go
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o $(BIN) ./cmd/conforma-status

## demo: the whole thing on this machine, on loopback
demo: need-demo build
	@$(BIN) demo

# What the end-to-end tests run: the program, and one that ends itself at each step of a change.
tested: build
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags crashpoints -o $(CRASH_BIN) ./cmd/conforma-status

# The race detector watches the product; the end-to-end tests run the built binary, and building all that they need
# with the detector takes longer than running them. "make soak" does it for what takes long.
## test: all tests, against a real nginx, S3 server, PostgreSQL and browser
test: need-web tested
	@out=$$(node --test status/client/test/*.test.js) || { echo "$$out"; exit 1; }
	go test -race -vet=off ./...
	cd deploy/e2e
	go test -vet=off -count=1 -parallel 4 -timeout 20m ./...
	echo "make test: all tests passed"

## soak: what takes longer: the soak tests and a while of every fuzz target
soak: need-soak tested
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT
	(cd deploy/e2e && go test -v -race -count=1 -timeout 22m -tags soak -run '^TestSoak' ./...) >"$$log" 2>&1 || { cat "$$log"; exit 1; }
	grep -E '^(ok|TestSoak[A-Za-z]+:|--- PASS)' "$$log"
	targets=$$(for module in $(MODULES); do
	  (cd $$module && go test -list '^Fuzz' ./...) | awk -v dir=$$module \
	    '/^Fuzz/ { names[++n] = $$1 } $$1 == "ok" { for (i = 1; i <= n; i++) print dir, $$2, names[i]; n = 0 }'
	done)
	count=$$(grep -c . <<<"$$targets" || true)
	seconds=$$(( $(FUZZ_TIME) / (count + 1) ))
	[ $$seconds -le $(FUZZ_TIME_ONE) ] || seconds=$(FUZZ_TIME_ONE)
	while read -r dir package name && [ -n "$$name" ]; do
	  if ! (cd $$dir && go test -run '^$$' -fuzz "^$$name$$" -fuzztime $${seconds}s -fuzzminimizetime 1x $$package) >"$$log" 2>&1 </dev/null; then
	    # Before Go 1.27 the end of the time itself may come out as a failure, without an input that fails:
	    # https://go.dev/issue/75804
	    if grep -q 'Failing input' "$$log" || ! grep -qx '    context deadline exceeded' "$$log"; then
	      cat "$$log"; exit 1
	    fi
	  fi
	  echo "$$name: $$(grep '^fuzz: elapsed' "$$log" | tail -n 1)"
	done <<<"$$targets"
	echo "make soak: passed, with $$count fuzz targets"

## lint: formatting, vet, staticcheck, shellcheck, tidy modules, nothing stray at the top level
lint: need-lint
	@files=$$(gofmt -l .)
	[ -z "$$files" ] || { echo "not gofmt'ed: $$files"; exit 1; }
	for module in $(MODULES); do
	  echo "lint $$module"
	  (cd $$module && go mod verify >/dev/null && go mod tidy -diff)
	  (cd $$module && go vet -tags soak ./... && go run $(STATICCHECK) -tags soak ./...)
	done
	shellcheck $(SCRIPTS)
	for entry in *; do
	  case " $(TOP_LEVEL) " in *" $$entry "*) ;; *) echo "at the top level: $$entry"; exit 1 ;; esac
	done
	echo "make lint: clean"

## publish: build the maintenance site and upload what changed (CONFIG=FILE for another configuration)
publish: build
	@$(BIN) $(if $(CONFIG),--config "$(CONFIG)") publish

## bench: all benchmarks as one table, in dist/ (UPDATE=1 puts it into the README too; measure on a machine that is idle)
bench: need-web need-bench build
	@cd deploy/e2e
	go build -o ../../bin/benchtable ./internal/benchtable
	../../bin/benchtable $(if $(UPDATE),-update ../../README.md)

## deb: the Debian package, in dist/ (ARCH=arm64 for another architecture than this machine's)
deb: need-go
	@deploy/package/build.sh deb $(ARCH)

## release: archives and packages for amd64 and arm64 with their checksums, in dist/; the same source gives the same bytes
release: need-go
	@deploy/package/build.sh release

## clean: remove what was built
clean:
	@rm -rf bin dist coverage

## help: this list
help:
	@sed -n 's/^## /  make /p' $(firstword $(MAKEFILE_LIST))

need-go:
	@command -v go >/dev/null || { echo "missing: go 1.26 or newer, from https://go.dev/dl/" >&2; exit 1; }

need-demo: need-go
	@$(call need,nginx:nginx)

# The race detector needs a C compiler. nginx's module for TCP has a package of its own.
STREAM := /usr/lib/nginx/modules/ngx_stream_module.so
need-test: need-go
	@$(call need,nginx:nginx $(STREAM):libnginx-mod-stream gcc:gcc+libc6-dev chromium-headless-shell:chromium-headless-shell initdb:postgresql-15 node:nodejs npm:npm logrotate:logrotate systemd-analyze:systemd curl:curl openssl:openssl w3m:w3m strace:strace caddy:caddy rsync:rsync)

# The packages that the front end's test application is built with and that its client and the pages are judged by; their
# own scripts don't run.
WEB := apollo3 apollo4 conforma package axe
need-web: need-test
	@for app in $(WEB); do
	  cd $(CURDIR)/deploy/e2e/web/$$app
	  cmp -s package-lock.json node_modules/installed && continue
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	  cp package-lock.json node_modules/installed
	done

# Lighthouse, a Debian of its own, in which the package lives, and a second browser.
need-soak: WEB += lighthouse
need-soak: need-web
	@$(call need,debootstrap:debootstrap firefox-esr:firefox-esr)

# The gate is measured beside the same check in njs, a module of nginx and not a program.
need-bench: need-test
	@[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || { $(call need,ngx_http_js_module:libnginx-mod-http-js) ; }

need-lint: need-go
	@$(call need,shellcheck:shellcheck)

# need takes words like PROGRAM:PACKAGE+PACKAGE, or FILE:PACKAGE, and installs the Debian packages of those that aren't there.
# Debian starts the servers that it installs and enables them at boot. A policy-rc.d (see invoke-rc.d(8))
# keeps them from starting, and the nginx and Caddy installed here for the demo and the tests, which run their own,
# aren't left enabled. PostgreSQL's service stays, with nothing to start: it is told to make no "main" cluster
# (pg_createcluster(1)), and may have clusters of other versions to look after.
define need
missing=; packages=
for pair in $(1); do
  { command -v "$${pair%:*}" || ls "$${pair%:*}"; } >/dev/null 2>&1 && continue
  missing="$$missing $${pair%:*}"; packages="$$packages $${pair#*:}"
done
[ -n "$$packages" ] || exit 0
packages=$${packages//+/ }
command -v apt-get >/dev/null || { echo "missing:$$missing" >&2; exit 1; }
sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo
command -v $${sudo:-true} >/dev/null || { echo "missing:$$missing (and sudo to install them)" >&2; exit 1; }
echo "installing$$packages (apt-get$${sudo:+, with sudo})"
$$sudo sh -eu -c '
policy=/usr/sbin/policy-rc.d; nocluster=
[ ! -e $$policy ] || policy=
case " $$* " in *" postgresql-15 "*) nocluster=/etc/postgresql-common/createcluster.d/conforma-status.conf ;; esac
trap "rm -f $$policy $$nocluster" EXIT; trap "exit 1" INT TERM
[ -z "$$policy" ] || { printf "#!/bin/sh\nexit 101\n" >$$policy; chmod 755 $$policy; }
[ -z "$$nocluster" ] || { mkdir -p $${nocluster%/*}; echo "create_main_cluster = false" >$$nocluster; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$$@" >/dev/null
case " $$* " in *" nginx "*) update-rc.d nginx disable ;; esac
case " $$* " in *" caddy "*) DPKG_MAINTSCRIPT_PACKAGE=caddy deb-systemd-helper disable caddy.service ;; esac
' sh $$packages
endef
