# Make pip in this space install from the deployment's CodeArtifact repository.
#
# Studio runs this when an app of JupyterLab or Code Editor starts, after the lines above it, which
# the template adds. Nothing here needs the network, a credential or more than a second. pip asks
# the command `keyring` for a password; the one below answers with a new token, so that none is
# stored and none has to be renewed. Both files are in the app's container, not in anybody's home,
# and go with it. A failure must not keep the app from starting.

install_file() { # install_file MODE PATH < CONTENT
  local as_root=()
  [ -w "$(dirname "$2")" ] || as_root=(sudo -n)
  "${as_root[@]}" install -m "$1" /dev/stdin "$2"
}

configuration() {
  cat <<END
[global]
index-url = ${index/:\/\//:\/\/aws@}
keyring-provider = subprocess

[install]
no-input = true

[download]
no-input = true
END
}

keyring() {
  cat <<END
#!/bin/bash
# For pip, prints a token for one repository, and never for another. Older versions of pip call
# \`keyring get URL USER\` (23.2), newer ones with options before it, and read JSON (26.3; pypa/pip#14150).
set -euo pipefail
case "\$*" in
  "get $index aws") form='%s\n' ;;
  "--mode=creds --output=json get $index aws") form='{"username": "aws", "password": "%s"}\n' ;;
  *) exit 1 ;;
esac
token=\$(aws codeartifact get-authorization-token --region $region --domain $domain \\
  --domain-owner $owner --duration-seconds $seconds --query authorizationToken --output text)
printf "\$form" "\$token"
END
}

place=${SPACE_ROOT:-}
if configuration | install_file 644 "$place/etc/pip.conf" &&
  keyring | install_file 755 "$place/usr/local/bin/keyring"; then
  echo "pip installs from $index"
else
  echo "pip is not set up: no permission to write /etc/pip.conf and /usr/local/bin" >&2
fi
