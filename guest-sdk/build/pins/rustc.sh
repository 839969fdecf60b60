#!/bin/sh
# The pinned compiler, with its own libraries.
#
# Cargo tells rustc a hash that becomes part of every symbol, and so of the order in which functions are laid out. It
# covers the absolute path of the SDK, which lies outside the policies' workspace, and differs between versions of
# cargo. Here it is replaced by what the crate is, so that neither moves a byte. `std` and policies may use the same
# version of a crate, as two crates: hence the kind.
if [ -n "$@KIND@" ]; then
    crate= previous=
    for argument; do
        shift
        case "$previous $argument" in
            "--crate-name "*) crate=$argument ;;
            "-C metadata="*) argument="metadata=$@KIND@ $crate $CARGO_PKG_NAME $CARGO_PKG_VERSION" ;;
        esac
        previous=$argument
        set -- "$@" "$argument"
    done
fi
LD_LIBRARY_PATH="@FOLDER@/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "@FOLDER@/usr/bin/rustc" "$@"
