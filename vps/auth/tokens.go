// Package auth decides who is calling: whose a token is, how long who guesses tokens has to wait, and which address a client
// behind proxies has.
//
//	settings ──> Tokens.Replace ─┐
//	store ──> Issuer ────────────┴> Tokens
//	Authorization: Bearer TOKEN ──> Tokens.Find ──> Caller: a device, a viewer of some, or an admin
//	                                    └─ unknown ──> Failures.Add ──> wait, by network
//	Cookie ──> Cookies.Of ──> Tokens.Session ──> Caller: a viewer
//	connection, X-Forwarded-For ──> Proxies.Client ──> address
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// hashPrefix marks an entry that has the SHA-256 of a token in place of the token.
const hashPrefix = "sha256:"

// inStore is an entry of DEVICE_TOKENS where the tokens of devices are in the store.
const inStore = "store"

type entry struct {
	sum TokenSum // the token itself is not kept
	id  [8]byte  // in the cookie of a session
	Caller

	expires time.Time // zero for never
	used    *lastUse  // nil for one of the settings
}

func (e *entry) expired(now time.Time) bool { return !e.expires.IsZero() && !now.Before(e.expires) }

func (e *entry) use(now time.Time) {
	if e.used != nil {
		e.used.at.Store(now.UnixMilli())
	}
}

// Tokens maps tokens to callers: those of the settings, and those of a store. They may be replaced while requests are served.
type Tokens struct {
	// Misspelt returns the variable of the environment that was probably meant to be DEVICE_TOKENS, "" if there is none. It is
	// asked when no device has a token; nil is for where there is no environment to look into.
	Misspelt func() string

	entries atomic.Pointer[[]entry] // those of the settings first
	unread  atomic.Bool             // there are tokens in a store, which was not read yet

	mu      sync.Mutex
	set     []entry // of the settings
	stored  []entry
	used    map[string]*lastUse // of the stored ones, by their ids
	offers  map[TokenSum]store.Token
	changed chan struct{} // closed by the next Replace; nil while nothing waits for it
}

// Replaced returns a channel that is closed when the tokens are replaced the next time.
func (t *Tokens) Replaced() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// replace changes set or stored.
func (t *Tokens) replace(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	t.entries.Store(new(slices.Concat(t.set, t.stored)))
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// ParseTokens reads the settings DEVICE_TOKENS and VIEWER_TOKENS: entries token:device, separated by commas or lines;
// a token may be written as sha256:HEX, the device of a viewer as device+device. DEVICE_TOKENS may be the word store, where the
// tokens of all devices are in the store. The error is a *health.Fault that names each
// bad entry by its number, never by its text.
func ParseTokens(devices, viewers string) (*Tokens, error) {
	t := new(Tokens)
	if err := t.Replace(devices, viewers); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace swaps all tokens of the settings for the given ones at once. On an error, as of ParseTokens, the old ones stay.
func (t *Tokens) Replace(devices, viewers string) error {
	var all []entry
	var wrong []string
	for _, from := range []struct {
		setting, text string
		viewer        bool
	}{{"DEVICE_TOKENS", devices, false}, {"VIEWER_TOKENS", viewers, true}} {
		elsewhere := false
		for i, text := range split(from.text) {
			if text == inStore && !from.viewer {
				elsewhere = true
				continue
			}
			e, why := parseEntry(text, from.viewer)
			switch {
			case turnedRound(text, from.viewer):
				why = "is turned round, or its token is too short: write TOKEN:DEVICE"
			case why == "":
				why = clash(all, e)
			}
			if why != "" {
				wrong = append(wrong, fmt.Sprintf("%s entry %d %s", from.setting, i+1, why))
				continue
			}
			e.id = sessionID(e.sum)
			all = append(all, e)
		}
		if !from.viewer && len(all) == 0 && wrong == nil && !elsewhere {
			why := "DEVICE_TOKENS has no entry, so no edge could send anything"
			if t.Misspelt != nil {
				if written := t.Misspelt(); written != "" {
					why += "; " + written + " is set, which is not a setting: DEVICE_TOKENS?"
				}
			}
			wrong = append(wrong, why)
		}
	}
	if wrong != nil {
		return &health.Fault{Code: "config_invalid", Exit: health.ExitConfig,
			What: "the tokens cannot be used", Why: strings.Join(wrong, "; "),
			Next: "write each entry as TOKEN:DEVICE, or sha256:HEX:DEVICE; or DEVICE_TOKENS=store, if all are to be made by `sunspool token create --help`"}
	}
	t.replace(func() { t.set = all })
	return nil
}

// KnownViewer is a viewer whose token is written as it is.
type KnownViewer struct {
	Token string
	Caller
}

// KnownViewers returns those of the setting VIEWER_TOKENS, in its order. Of the others only a sum is known.
func KnownViewers(viewers string) (all []KnownViewer) {
	for _, text := range split(viewers) {
		e, why := parseEntry(text, true)
		if token, _, _ := strings.Cut(text, ":"); why == "" && !strings.HasPrefix(text, hashPrefix) {
			all = append(all, KnownViewer{strings.TrimSpace(token), e.Caller})
		}
	}
	return all
}

// split cuts a setting into entries at commas and ends of line; a line that begins with # is a comment.
func split(text string) []string {
	var entries []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for e := range strings.SplitSeq(line, ",") {
			if e = strings.TrimSpace(e); e != "" {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// parseEntry cuts at the first colon, as the Python server does, but for that of sha256: itself. A device has none, so an
// entry with one more is refused: no setting means one device there and another one here.
func parseEntry(text string, viewer bool) (e entry, why string) {
	prefix := 0
	if strings.HasPrefix(text, hashPrefix) {
		prefix = len(hashPrefix)
	}
	colon := prefix + strings.IndexByte(text[prefix:], ':')
	if colon < prefix {
		return e, "is not token:device"
	}
	token, device := strings.TrimSpace(text[:colon]), strings.TrimSpace(text[colon+1:])
	e.Caller = Caller{Device: device, Viewer: viewer}
	switch {
	case token == "":
		return e, "has an empty token"
	case viewer && validViewed(device):
		e.Device = viewed(device)
	case strings.Contains(device, ":"):
		return e, "has a colon too many: the token ends at the first one, and a device has none"
	case !wire.ValidDeviceID(device):
		return e, "does not name a device of 1 to 64 characters of A-Z a-z 0-9 . _ ~ -"
	}
	digits, hashed := strings.CutPrefix(token, hashPrefix)
	switch {
	case hashed:
	case unusable(token) != "":
		return e, "has a token " + unusable(token)
	default:
		e.sum = SumOf(token)
		return e, ""
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size {
		return e, "does not have 64 hexadecimal digits after sha256:"
	}
	e.sum = TokenSum(sum)
	return e, ""
}

// unusable returns what is wrong with a token, "" if nothing is.
func unusable(token string) string {
	switch {
	case strings.Trim(token, "\"'`") != token:
		return "with quotes around it, which an environment file of Docker does not take away"
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "with a character that is not printable ASCII, which no request can carry"
	case len(token) < wire.ShortestToken:
		return fmt.Sprintf("of %d characters, at least %d are needed (openssl rand -hex 32 makes a good one)", len(token), wire.ShortestToken)
	}
	return ""
}

// validViewed reports whether text names what a viewer may read.
func validViewed(text string) bool {
	return text == AnyDevice || !slices.ContainsFunc(strings.Split(text, and), func(id string) bool { return !wire.ValidDeviceID(strings.TrimSpace(id)) })
}

// viewed is the one form of text, which names devices: sorted, each once.
func viewed(text string) string {
	var ids []string
	for id := range strings.SplitSeq(text, and) {
		ids = append(ids, strings.TrimSpace(id))
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), and)
}

// turnedRound reports whether an entry has its device where the token belongs: it is too short for a token, or what
// stands behind it is one as openssl makes them, which no inverter has for a name.
func turnedRound(text string, viewer bool) bool {
	device, token, _ := strings.Cut(text, ":")
	device, token = strings.TrimSpace(device), strings.TrimSpace(token)
	if !wire.ValidDeviceID(device) && !(viewer && validViewed(device)) || device == "sha256" {
		return false
	}
	digits, hashed := strings.CutPrefix(token, "sha256:")
	isHex := strings.Trim(digits, "0123456789abcdefABCDEF") == ""
	if hashed || isHex && len(digits) >= 40 {
		return strings.Trim(device, "0123456789abcdefABCDEF") != "" || len(device) < wire.ShortestToken
	}
	return len(device) < wire.ShortestToken && len(token) >= wire.ShortestToken && !strings.Contains(token, ":")
}

// clash returns why e contradicts an entry before it: one token cannot be two callers.
func clash(all []entry, e entry) string {
	for _, other := range all {
		if other.sum == e.sum && other.Caller != e.Caller {
			if e.Viewer && other.Viewer {
				return "has the token of another entry: write TOKEN:DEVICE+DEVICE for several devices"
			}
			return "has the token of another entry that names somebody else"
		}
	}
	return ""
}

// Find returns the caller of a token that is valid at the time now. It compares with every entry, so that its time reveals
// nothing about any of them.
func (t *Tokens) Find(token string, now time.Time) (who Caller, known bool) {
	sum := SumOf(token)
	entries := *t.entries.Load()
	for i := range entries {
		e := &entries[i]
		if subtle.ConstantTimeCompare(sum[:], e.sum[:]) == 1 && !known && !e.expired(now) {
			who, known = e.Caller, true
			e.use(now)
		}
	}
	return who, known
}

// Devices returns the devices that may send, each as often as it has tokens.
func (t *Tokens) Devices() (all []string) {
	for _, e := range *t.entries.Load() {
		if !e.Viewer {
			all = append(all, e.Caller.Devices()...)
		}
	}
	return all
}
