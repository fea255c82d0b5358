#!/bin/sh
# For other machines too; whoever knows the token may watch: lan-with-token.sh [TOKEN].
token=${1:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
echo "Add #token=$token to the address."
gst-launch-1.0 videotestsrc is-live=true ! rtcsink uri=listen://0.0.0.0:8080/live token="$token"
