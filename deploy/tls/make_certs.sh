#!/usr/bin/env bash
# Makes an authority and the certificates of a Sluice cluster with openssl. For a first cluster, and for tests; where you
# have an authority of your own (cert-manager, Vault, step-ca), let it make the same: see docs/security.md.
#
#   make_certs.sh DIR [HOST...]        all that DIR lacks; HOST: names and addresses by which clients reach the coordinator
#   DAYS=90                            how long certificates last (the authority: ten years)
#   ROLE=decode make_certs.sh DIR      one more certificate of that role, as DIR/decode.pem and .key, in place of the old
#
# DIR gets ca.pem; coordinator, prefill and decode (.pem and .key), whose role is a URI among the alternative names
# (sluice://role/ROLE); client, for people where HTTP demands certificates.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,10p' "$0"; exit 2; }
dir=$1
shift
days=${DAYS:-90}
umask 077
mkdir -p "$dir"
cd "$dir"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

if [ ! -e ca.pem ]; then
  key ca.key
  openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/O=Sluice/CN=Sluice cluster authority" \
    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign -out ca.pem
fi

# certificate NAME SUBJECT-ALTERNATIVE-NAMES: made beside the old one and put in its place, key last: a daemon that looks
# in between sees a pair that does not fit, and keeps what it has.
certificate() {
  local name=$1 names=$2 now
  now=$(mktemp -d .new.XXXXXX)
  key "$now/key"
  openssl req -new -key "$now/key" -subj "/O=Sluice/CN=$name" -out "$now/csr"
  printf '%s\n' "basicConstraints=critical,CA:false" "keyUsage=critical,digitalSignature" \
    "extendedKeyUsage=serverAuth,clientAuth" "subjectAltName=$names" > "$now/ext"
  openssl x509 -req -in "$now/csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -sha256 \
    -days "$days" -extfile "$now/ext" -out "$now/pem" 2>"$now/said" || { cat "$now/said" >&2; exit 1; }
  mv "$now/pem" "$name.pem"
  mv "$now/key" "$name.key"
  rm -r "$now"
}

hosts=
for host in "$@"; do
  if [[ $host =~ ^[0-9.]+$ || $host == *:* ]]; then hosts+=",IP:$host"; else hosts+=",DNS:$host"; fi
done
for role in coordinator prefill decode client; do
  [ -z "${ROLE:-}" ] || [ "$ROLE" = "$role" ] || continue
  [ -n "${ROLE:-}" ] || [ ! -e "$role.pem" ] || continue
  case $role in
    coordinator) certificate coordinator "URI:sluice://role/coordinator${hosts}" ;;
    client) certificate client "DNS:client" ;;
    *) certificate "$role" "URI:sluice://role/$role" ;;
  esac
done
