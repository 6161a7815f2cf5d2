# Makes a Debian host what a list of items says. `plan` tells what differs, `apply` changes it; what is as it should be is
# left alone. stdout holds one line a fact, its parts apart by tabs:
#   layer <layer> <changes>   change <layer> <kind> <name> <what>   diff <layer> <path> <line>
#   awaited <layer> <path>    failed <layer> <why>                  end <changes>
# It stops at the first layer that fails; running it again goes on from there.
set -uo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive

run_as=${1:-plan}
layer='' count=0 total=0
paths=() wanted=() altered=() missing=()
stage=$(mktemp -d /run/factory-host.XXXXXX) || exit 1
export TMPDIR=$stage
trap 'rm -rf "$stage"' EXIT
new=$stage/new

applying() { [ "$run_as" = apply ]; }
tell() { local IFS=$'\t'; printf '%s\n' "$*"; }
fail() {
  tell failed "$layer" "$(printf '%s' "$1" | tail -n 12 | tr '\t\n' '  ')"
  exit 1
}
# try <command…>: its words are shown where it fails
try() {
  local said
  said=$("$@" 2>&1 </dev/null) || fail "$*: $said"
}
change() {
  tell change "$layer" "$1" "$2" "$3"
  count=$((count + 1))
}

begin() {
  layer=$1 count=0
  paths=() wanted=() altered=() missing=()
  rm -rf "$new" && mkdir -p "$new"
}
finish() {
  tell layer "$layer" "$count"
  total=$((total + count))
}

package() {
  [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ] && return
  missing+=("$1")
  change package "$1" 'is not installed'
}
install_packages() {
  local said
  for _ in 1 2 3; do
    # Another program of the system may be at it, such as the daily update.
    said=$(apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 update 2>&1 </dev/null) && break
    sleep 5
  done
  said=$(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef \
    install --no-install-recommends "${missing[@]}" 2>&1 </dev/null) || fail "apt-get install ${missing[*]}: $said"
}

# user <name> <home> <shell> <system|person>
user() {
  local now
  if ! now=$(getent passwd "$1"); then
    change user "$1" 'does not exist'
    applying || return 0
    if [ "$4" = system ]; then
      try useradd --system --user-group --no-create-home --home-dir "$2" --shell "$3" "$1"
    else
      try useradd --create-home --user-group --home-dir "$2" --shell "$3" "$1"
    fi
  elif [ "$(cut -d: -f6,7 <<<"$now")" != "$2:$3" ]; then
    change user "$1" "has home and shell $(cut -d: -f6,7 <<<"$now")"
    applying && try usermod --home "$2" --shell "$3" "$1"
  fi
  return 0
}
locked_password() {
  local state
  state=$(passwd -S "$1" 2>/dev/null | cut -d' ' -f2)
  [ "$state" = L ] && return
  # An account that is only planned is made without a password.
  [ -z "$state" ] && ! applying && return
  change password "$1" 'can be used'
  applying && try passwd -l "$1"
  return 0
}

# owned <path> <owner> <mode>: what is not so, or nothing
owned() {
  local now
  now=$(stat -c '%U:%G %a' "$1")
  [ "$now" = "$2 $(printf '%o' "0$3")" ] || printf 'is %s' "$now"
}
folder() {
  local what
  if [ ! -e "$1" ]; then
    change folder "$1" 'does not exist'
    applying && { try mkdir -p "$1" && try chown "$2" "$1" && try chmod "$3" "$1"; }
  elif [ ! -d "$1" ] || [ -L "$1" ]; then
    fail "$1 is there and is no folder"
  elif what=$(owned "$1" "$2" "$3") && [ -n "$what" ]; then
    change folder "$1" "$what"
    applying && { try chown "$2" "$1" && try chmod "$3" "$1"; }
  fi
  return 0
}
mode() {
  [ -e "$1" ] || return 0
  local now
  now=$(stat -c %a "$1")
  [ "$now" = "$(printf '%o' "0$2")" ] && return
  change mode "$1" "is $now"
  applying && try chmod "$2" "$1"
  return 0
}
setting() {
  grep -qE "^$2[[:space:]]+$3\$" "$1" && return
  change setting "$1" "$2 is not $3"
  applying || return 0
  sed "/^#\?[[:space:]]*$2[[:space:]]/d" "$1" >"$stage/setting" && printf '%s %s\n' "$2" "$3" >>"$stage/setting"
  # Into the file as it is, which keeps its owner and mode.
  cp "$1" "$1.new~" && cat "$stage/setting" >"$1.new~" && chmod --reference="$1" "$1.new~" && mv -fT "$1.new~" "$1" ||
    fail "cannot write $1"
}
absent() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  change file "$1" 'is there'
  altered+=("$1")
  applying && try rm -f "$1"
  return 0
}
awaited() {
  [ -s "$1" ] || { tell awaited "$layer" "$1" && return; }
  local what
  what=$(owned "$1" root:root 0600)
  [ -z "$what" ] && return
  change file "$1" "$what"
  applying && { try chown root:root "$1" && try chmod 0600 "$1"; }
  return 0
}

# file <path> <owner> <mode> <shown|secret>: the content is on stdin
file() {
  mkdir -p "$new${1%/*}"
  cat >"$new$1" || fail "no room for $1"
  paths+=("$1") wanted+=("$2 $3 $4")
}
compare() {
  local path=$1 owner=$2 mode=$3 shown=$4 what
  if [ ! -e "$path" ]; then
    what='does not exist'
  elif [ ! -f "$path" ] || [ -L "$path" ]; then
    what='is no plain file'
  elif ! cmp -s "$path" "$new$path"; then
    what='differs'
  else
    what=$(owned "$path" "$owner" "$mode")
  fi
  [ -z "$what" ] && return
  change file "$path" "$what"
  altered+=("$path")
  [ "$what" = differs ] && [ "$shown" = shown ] && ! applying || return 0
  diff -U1 "$path" "$new$path" | tail -n +3 | while IFS= read -r one; do tell diff "$layer" "$path" "$one"; done
}
changed() {
  local one
  for one in "${altered[@]}"; do [ "$one" = "$1" ] && return 0; done
  return 1
}
# Beside its place and then into it: whoever reads it reads the old one or the new one.
put() {
  local path=$1 owner=$2 mode=$3
  mkdir -p "${path%/*}" || fail "cannot make ${path%/*}"
  if [ -e "$path" ] && [ ! -d "$path" ]; then mkdir -p "$stage/old${path%/*}" && cp -a "$path" "$stage/old$path"; fi
  try cp "$new$path" "$path.new~"
  try chown "$owner" "$path.new~"
  try chmod "$mode" "$path.new~"
  try sync "$path.new~"
  try mv -fT "$path.new~" "$path"
}
put_back() {
  local path
  for path in "${altered[@]}"; do
    if [ -e "$stage/old$path" ]; then cp -a "$stage/old$path" "$path.new~" && mv -fT "$path.new~" "$path"; else rm -f "$path"; fi
  done
}

# settle <check> <reload>: everything before it goes in place, or nothing of it does
settle() {
  local index said
  rm -rf "$stage/old"
  if [ ${#missing[@]} -gt 0 ] && applying; then install_packages; fi
  for index in "${!paths[@]}"; do
    # shellcheck disable=SC2086 # three words
    compare "${paths[index]}" ${wanted[index]}
  done
  [ ${#altered[@]} -gt 0 ] || return 0
  # A plan cannot ask programs that are not installed yet.
  if applying || [ "$packages_missing" = no ]; then
    said=$(eval "$1" 2>&1 </dev/null) || fail "the new files were not taken, and nothing of them is in place: $said"
  fi
  applying || return 0
  for index in "${!paths[@]}"; do
    # shellcheck disable=SC2086
    if changed "${paths[index]}"; then put "${paths[index]}" ${wanted[index]}; fi
  done
  said=$(eval "$2" 2>&1 </dev/null) && return
  put_back
  eval "$2" >/dev/null 2>&1 </dev/null
  fail "the old files are back, because this failed with the new ones: $said"
}

unit_off() {
  systemctl is-enabled -q "$1" 2>/dev/null || systemctl is-active -q "$1" 2>/dev/null || return 0
  change unit "$1" 'is in use'
  altered+=("$1")
  applying && try systemctl disable --now "$1"
  return 0
}
unit() {
  local what=
  systemctl is-enabled -q "$1" 2>/dev/null || what='is not enabled'
  systemctl is-active -q "$1" 2>/dev/null || what="${what:+$what and }does not run"
  [ -z "$what" ] && return
  change unit "$1" "$what"
  applying && try systemctl enable --now "$1"
  return 0
}
