#!/usr/bin/env bash
# Builds dist/. build.sh deb [ARCH] makes the Debian package: of this machine's architecture, or amd64, arm64. build.sh image
# [ARCH] makes the container image, as an OCI archive. build.sh release makes the packages of both, archives of both for Linux and
# macOS, and checksums. What comes out depends on the source alone: two builds in different directories are the same bytes. VERSION, COMMIT and SOURCE_DATE_EPOCH say what is built; the Makefile takes them from git.
# (https://reproducible-builds.org/specs/source-date-epoch/) DIST is another place than dist/.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC
: "${VERSION:?}" "${COMMIT:?}" "${SOURCE_DATE_EPOCH:?}"
export SOURCE_DATE_EPOCH
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# The owner chooses both. They are said once, in the npm package: an SPDX expression or UNLICENSED, and NAME <ADDRESS>.
said() { sed -nE "s/^  \"$1\": \"(.*)\",?$/\1/p" status/client/package.json; }
LICENCE=$(said license) MAINTAINER=$(said author)
export LICENCE MAINTAINER
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dist=$(realpath -m "${DIST:-dist}")
mkdir -p "$dist"

# A Debian version begins with a digit, and what comes before a release sorts before it.
case $VERSION in
v[0-9]*) DEB_VERSION=${VERSION#v} ;;
[0-9]*.*) DEB_VERSION=$VERSION ;;
*) DEB_VERSION=0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).$VERSION ;;
esac
DEB_VERSION=$(sed -E 's/-(alpha|beta|rc)/~\1/; s/-/+/g' <<<"$DEB_VERSION")
export DEB_VERSION

compile() { # OS ARCH OUT
  CGO_ENABLED=0 GOOS=$1 GOARCH=$2 GOFLAGS='' GOAMD64=v1 GOARM64=v8.0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o "$3" ./cmd/conforma-status
}

# What is the same everywhere: manual pages and completions, which a program for this machine prints.
common() {
  mkdir -p "$work/common/man" "$work/common/completions"
  compile "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$work/conforma-status"
  GOFLAGS='' go run -trimpath -buildvcs=false -tags man ./cmd/conforma-status "$work/common/man"
  for shell in bash zsh fish; do "$work/conforma-status" completion "$shell" >"$work/common/completions/$shell"; done
}

# documents DIR: the documents, whose links lead to what lies beside them there, or in the repository.
documents() {
  local source=https://github.com/msupply-foundation/conforma-status/blob/${COMMIT%-dirty}
  for page in README.md deploy/*.md; do
    sed -E "s,\]\(deploy/,](,g; s,\`deploy/(settled-postgres.sh|tell.sh|conforma/|standby/|terraform/),\`/usr/share/conforma-status/\1,g; s,\]\(e2e/,]($source/deploy/e2e/,g; s,\]\(status/,]($source/status/,g; s,\]\(\.\./,]($source/,g" "$page" >"$1/${page##*/}"
  done
  cp -R deploy/screenshots deploy/package/copyright "$1/"
  for part in conforma webserver terraform content; do ln -s "../../conforma-status/$part" "$1/$part"; done
}

# stage OS ARCH: what the package puts below /, with the files that it may not overwrite beside it.
stage() {
  local stage=$work/$1_$2 root=$work/$1_$2/root
  mkdir -p "$stage/etc" "$root"/usr/{bin,share/man/man{1,5},share/bash-completion/completions,share/zsh/vendor-completions,share/fish/vendor_completions.d} \
    "$root"/usr/lib/systemd/{system,system-generators} "$root"/usr/share/{doc/conforma-status,lintian/overrides} "$root"/usr/share/conforma-status/{conforma,standby,webserver,terraform,content}
  if [ "$1 $2" = "$(go env GOHOSTOS) $(go env GOHOSTARCH)" ]; then
    cp "$work/conforma-status" "$root/usr/bin/"
  else
    compile "$1" "$2" "$root/usr/bin/conforma-status"
  fi
  for page in "$work"/common/man/*; do gzip -9n <"$page" >"$root/usr/share/man/man${page##*.}/${page##*/}.gz"; done
  cp "$work/common/completions/bash" "$root/usr/share/bash-completion/completions/conforma-status"
  cp "$work/common/completions/zsh" "$root/usr/share/zsh/vendor-completions/_conforma-status"
  cp "$work/common/completions/fish" "$root/usr/share/fish/vendor_completions.d/conforma-status.fish"
  cp deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.path deploy/systemd/*.timer "$root/usr/lib/systemd/system/"
  cp deploy/systemd/conforma-status-generator "$root/usr/lib/systemd/system-generators/"
  cp deploy/package/lintian-overrides "$root/usr/share/lintian/overrides/conforma-status"
  cp deploy/*.sh "$root/usr/share/conforma-status/"
  cp deploy/conforma/* "$root/usr/share/conforma-status/conforma/"
  cp deploy/standby/* "$root/usr/share/conforma-status/standby/"
  cp deploy/webserver/* "$root/usr/share/conforma-status/webserver/"
  cp deploy/terraform/*.{tf,json,js,md} "$root/usr/share/conforma-status/terraform/" # what Terraform leaves there stays
  cp content/*.{md,yaml} "$root/usr/share/conforma-status/content/"
  documents "$root/usr/share/doc/conforma-status"
  printf 'conforma-status (%s) stable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n' \
    "$DEB_VERSION" "$COMMIT" "$MAINTAINER" "$(date -uR -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$root/usr/share/doc/conforma-status/changelog.gz"
  cp deploy/package/config.toml deploy/package/nginx.conf "$stage/etc/"
  cp deploy/logrotate/conforma-status "$stage/etc/logrotate"
  cp deploy/package/preinst deploy/package/postinst deploy/package/prerm deploy/package/postrm "$stage/"
  find "$stage" -type d -exec chmod 755 {} +
  find "$stage" -type f -exec chmod 644 {} +
  chmod 755 "$root/usr/bin/conforma-status" "$root/usr/lib/systemd/system-generators/conforma-status-generator" "$stage"/pre* "$stage"/post*
  grep -rlZ '^#!' "$root/usr/share/conforma-status" | xargs -0 chmod 755
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

deb() { # ARCH
  local out=$dist/conforma-status_${DEB_VERSION}_$1.deb top=$PWD
  .ci/retry go run "$nfpm" --version >/dev/null # brings it here
  (cd "$work/linux_$1" && ARCH=$1 go run "$nfpm" package --config "$top/deploy/package/nfpm.yaml" --packager deb --target "$out") >"$work/said" ||
    { cat "$work/said" >&2; exit 1; }
  echo "$out"
}

# archive OS ARCH: what the package has, for a place of one's choice. A Mac is no host: it gets nothing of systemd's and nginx's.
archive() {
  local name=conforma-status_${VERSION}_$1_$2 staged=$work/$1_$2
  local to=$work/tar/$name
  mkdir -p "$to"
  cp -a "$staged/root/usr/bin/conforma-status" "$to/"
  cp -a "$staged/root/usr/share/doc/conforma-status" "$to/doc"
  for part in "$to"/doc/*; do if [ -L "$part" ]; then ln -sfn "../share/${part##*/}" "$part"; fi; done
  ln -s doc/README.md "$to/README.md"
  cp -a "$staged/root/usr/share/conforma-status" "$to/share"
  cp -a "$work/common/man" "$work/common/completions" "$to/"
  [ "$1" != linux ] || cp -a deploy/systemd "$staged/etc" "$to/"
  tar --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -C "$work/tar" -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
  echo "$dist/$name.tar.gz"
}

# image ARCH: built of nothing but what is here, in a store of its own.
image() {
  local out=$dist/conforma-status_${VERSION}_$1.oci.tar
  local buildah=(buildah --root "$work/containers" --runroot "$work/run" --storage-driver vfs)
  mkdir -p "$work/image/root/usr/bin" "$work/image/root/etc/ssl/certs" "$work/image/state"
  compile linux "$1" "$work/image/root/usr/bin/conforma-status"
  cp -L /etc/ssl/certs/ca-certificates.crt "$work/image/root/etc/ssl/certs/" # for a store at Amazon
  chmod -R u=rwX,go=rX "$work/image"
  "${buildah[@]}" build --quiet --isolation chroot --pull-never --timestamp "$SOURCE_DATE_EPOCH" --platform "linux/$1" \
    --label "org.opencontainers.image.version=$VERSION" --label "org.opencontainers.image.revision=$COMMIT" \
    --label "org.opencontainers.image.licenses=$LICENCE" --label "org.opencontainers.image.authors=$MAINTAINER" \
    --file deploy/package/Dockerfile --tag "conforma-status:$VERSION" "$work/image" >/dev/null
  rm -f "$out"
  "${buildah[@]}" push --quiet "conforma-status:$VERSION" "oci-archive:$out:conforma-status:$VERSION"
  echo "$out"
}

case ${1-} in
image) image "${2:-$(go env GOHOSTARCH)}" ;;
deb)
  arch=${2:-$(go env GOHOSTARCH)}
  common
  stage linux "$arch"
  deb "$arch"
  ;;
release)
  common
  for arch in amd64 arm64; do
    for os in linux darwin; do
      stage $os $arch
      archive $os $arch
    done
    deb $arch
  done
  cd "$dist"
  sha256sum conforma-status_"$VERSION"_{linux,darwin}_{amd64,arm64}.tar.gz conforma-status_"$DEB_VERSION"_{amd64,arm64}.deb >SHA256SUMS
  echo "$dist/SHA256SUMS"
  ;;
*)
  echo "usage: build.sh deb [ARCH] | image [ARCH] | release" >&2
  exit 2
  ;;
esac
