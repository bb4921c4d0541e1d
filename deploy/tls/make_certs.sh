#!/usr/bin/env bash
# Makes an authority and the certificates of a Sluice cluster with openssl. For a first cluster, and for tests; where you
# have an authority of your own (cert-manager, Vault, step-ca), let it make the same: see docs/security.md.
#
#   make_certs.sh DIR [HOST...]        all that DIR lacks; HOST: names and addresses by which clients reach the coordinator
#   DAYS=90                            how long certificates last (the authority: ten years)
#   ROLE=decode make_certs.sh DIR [HOST...]  one more certificate of that role, as DIR/decode.pem and .key, in place of the
#                                      old; HOST: of a node, where its pages are (--admin-tls)
#   REVOKE=FILE make_certs.sh DIR      takes back the certificate in FILE: DIR/crl.pem lists it and those before it
#   REVOKE= make_certs.sh DIR          makes that list anew: it holds for CRL_DAYS=30
#
# DIR gets ca.pem; coordinator, prefill and decode (.pem and .key), whose role is a URI among the alternative names
# (sluice://role/ROLE); client, for people where HTTP demands certificates.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,13p' "$0"; exit 2; }
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

# What the authority remembers of certificates taken back stands in DIR/revoked. The list is put in its place whole.
revoke() {
  local now settings
  now=$(mktemp -d .new.XXXXXX)
  touch revoked
  [ -e revoked.number ] || echo 01 > revoked.number
  settings=$now/settings
  printf '%s\n' '[ca]' 'default_ca = own' '[own]' 'database = revoked' 'crlnumber = revoked.number' 'default_md = sha256' \
    'unique_subject = no' 'crl_extensions = of' '[of]' 'authorityKeyIdentifier = keyid:always' > "$settings"
  authority=(openssl ca -config "$settings" -keyfile ca.key -cert ca.pem)
  { { [ -z "$REVOKE" ] || "${authority[@]}" -revoke "$REVOKE"; } &&
    "${authority[@]}" -gencrl -crldays "${CRL_DAYS:-30}" -out "$now/crl"; } 2>"$now/said" || { cat "$now/said" >&2; rm -r "$now"; exit 1; }
  mv "$now/crl" crl.pem
  rm -r "$now"
}
if [ -n "${REVOKE+set}" ]; then
  revoke
  exit 0
fi

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
    *) certificate "$role" "URI:sluice://role/$role${ROLE:+$hosts}" ;;
  esac
done
