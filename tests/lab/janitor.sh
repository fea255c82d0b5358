# Waits until its standard input ends, which is when the process that has started
# it does, and removes what that one has left: programs, networks, profiles.
prefix=$1 names=$2 maker=$3 temporary=$4
cat > /dev/null
ours() { ip netns list | sed -n "s/^\\($prefix$maker-[^ ]*\\).*/\\1/p"; }
# What is killed may just have started something.
for round in 1 2 3 4 5 6 7 8 9 10; do
  for namespace in $(ours); do
    ip netns pids "$namespace" | xargs -r kill -KILL
    test -z "$(ip netns pids "$namespace")" && ip netns delete "$namespace"
    rm -rf "${names:?}/$namespace"
  done
  test -z "$(ours)" && break
  sleep 0.2
done
rm -rf "${temporary:?}/sigmund-browser-$maker-"*
rm -f "${temporary:?}/$prefix$maker-"*.nft
