#!/usr/bin/env bash
# scripts/wasm-toolchain.sh DIR: makes DIR/rustc, a private compiler for WebAssembly from Debian's packages (unpacked, not
# installed), with a wasm32 standard library built from its own sources. It touches neither /usr nor ~/.cargo nor ~/.rustup.
set -euo pipefail
DIR=$(mkdir -p "$1" && cd "$1" && pwd)
[ -e "$DIR/.ok" ] && exit 0
rm -rf "$DIR/usr" "$DIR/debs" "$DIR/std"; mkdir -p "$DIR/debs" "$DIR/std/src"

# The packages; apt checks their signatures. LLVM is the version that the standard library's package names.
if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq || true; fi
STD=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-1\.[0-9]*\)$/\1/p')
( cd "$DIR/debs" && apt-get download -qq rustc-web libstd-rust-web-dev "$STD" rust-web-src 2>/dev/null )
LLVM=$(dpkg-deb -f "$DIR"/debs/libstd-rust-web-1*.deb Depends | grep -o 'libllvm[0-9]*')
( cd "$DIR/debs" && apt-get download -qq "$LLVM" 2>/dev/null )
for d in "$DIR"/debs/*.deb; do
  case "$d" in
    */rust-web-src_*) dpkg-deb --fsys-tarfile "$d" | tar -x -C "$DIR" --wildcards './usr/lib/rustlib/*' './usr/src/rustc-*/library/*' ;;
    *) dpkg-deb -x "$d" "$DIR" ;;
  esac
done
rm -rf "$DIR/debs"

# The driver and LLVM lie beside the compiler.
cat > "$DIR/rustc" <<W
#!/bin/sh
LD_LIBRARY_PATH=$DIR/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $DIR/usr/bin/rustc "\$@"
W
chmod +x "$DIR/rustc"

# The linker: rustup's own where there is one, else Debian's package lld.
LLD=$(ls "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/lib/rustlib/*/bin/rust-lld 2>/dev/null | head -1 || true)
[ -n "$LLD" ] || LLD=$(command -v wasm-ld wasm-ld-19 wasm-ld-16 | head -1 || true)
[ -n "$LLD" ] || { echo "A linker for WebAssembly is missing: \`apt-get install lld\`." >&2; exit 1; }
mkdir -p "$DIR/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin"
ln -sf "$LLD" "$DIR/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"

# The standard library, once, with bitcode so that it can be optimised together with what uses it.
cat > "$DIR/std/Cargo.toml" <<'C'
[package]
name = "seed"
version = "0.0.0"
edition = "2021"
[profile.release]
panic = "abort"
[workspace]
C
: > "$DIR/std/src/lib.rs"
( cd "$DIR/std" && env -u RUSTFLAGS RUSTC="$DIR/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$DIR/std/target" CARGO_ENCODED_RUSTFLAGS="-Cembed-bitcode=yes" \
    cargo build -q --release --target wasm32-unknown-unknown -Z build-std=std,panic_abort )
LIB="$DIR/usr/lib/rustlib/wasm32-unknown-unknown/lib"; mkdir -p "$LIB"
for f in "$DIR"/std/target/wasm32-unknown-unknown/release/deps/*.rlib; do
  case "$f" in *seed*) ;; *) cp "$f" "$LIB/" ;; esac
done
rm -rf "$DIR/std"
touch "$DIR/.ok"
