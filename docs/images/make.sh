#!/bin/sh
# Make the images that the README shows beside sample.png; needs cypool[cli].
set -e
cd "$(dirname "$0")"
cypool pool sample.png max.png --op max --kernel-size 5 --stride 2 --padding same
cypool pool sample.png min.png --op min --kernel-size 5 --stride 2 --padding same
cypool pool sample.png avg.png --op avg --kernel-size 2 --ceil-mode
