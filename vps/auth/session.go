package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// SessionAge is how long a session lasts after it was last renewed, RenewAfter how old one is renewed.
	SessionAge = 30 * 24 * time.Hour
	RenewAfter = 24 * time.Hour

	// kioskAge is what the cookie of a screen on a wall asks for. Browsers shorten it, some to 400 days; each renewal starts
	// again.
	kioskAge = 10 * 365 * 24 * time.Hour

	longestToken = 1024 // that a cookie holds: browsers drop one of more than 4096 bytes
)

// Session is a caller whose browser has a cookie in place of a token. It may read what the token may read, and nothing else,
// except that one of an admin may manage tokens.
//
// The cookie is
//
//	version, 1 byte │ id of the token, 8 │ nonce, 12 │ AES-256-GCM( issued, 8 │ kiosk, 1 │ token )
//
// in base64url. Key and id are derived from the token's SHA-256, which the server has anyway, so a session needs no store:
// every process and every restart opens it, and it ends when its token is removed. The token itself is inside, and is compared
// as one in a header is. So whoever reads the settings, which may have no more than hashes of tokens, can open a cookie that
// they have stolen, and cannot make one; and whoever has a cookie alone can neither read its token nor change its time.
type Session struct {
	Caller
	Token  TokenSum
	Issued time.Time
	Kiosk  bool // never expires

	token string
}

const (
	sessionVersion = 1
	sessionHead    = 1 + 8 + 12 // bytes before what is sealed
	sessionFacts   = 8 + 1      // bytes before the token
)

// NewSession returns the session of a token, if the token is one.
func (t *Tokens) NewSession(token string, kiosk bool, now time.Time) (Session, bool) {
	who, known := t.Find(token, now)
	if !known || len(token) > longestToken {
		return Session{}, false
	}
	who.Viewer = true
	return Session{Caller: who, Token: SumOf(token), Issued: now.UTC().Truncate(time.Second), Kiosk: kiosk, token: token}, true
}

// Session opens the value of a cookie: it must have been made by Value with a token that is one today, and not be too old.
func (t *Tokens) Session(cookie string, now time.Time) (s Session, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(raw) < sessionHead || raw[0] != sessionVersion {
		return Session{}, false
	}
	entries := *t.entries.Load()
	for i := range entries {
		e := &entries[i]
		if e.expired(now) {
			continue
		}
		if subtle.ConstantTimeCompare(raw[1:9], e.id[:]) != 1 {
			continue
		}
		facts, err := sealer(e.sum).Open(nil, raw[9:sessionHead], raw[sessionHead:], raw[:9])
		if err != nil || len(facts) < sessionFacts {
			continue
		}
		s = Session{Caller: e.Caller, Token: e.sum, token: string(facts[sessionFacts:])}
		s.Issued, s.Kiosk = time.Unix(int64(binary.BigEndian.Uint64(facts)), 0).UTC(), facts[8] == 1
		s.Viewer = true
		sum := SumOf(s.token)
		if ok = subtle.ConstantTimeCompare(sum[:], e.sum[:]) == 1 && (s.Kiosk || now.Sub(s.Issued) < SessionAge); ok {
			e.use(now)
		}
		return s, ok
	}
	return Session{}, false
}

// Renewed returns s as it is from now on.
func (s Session) Renewed(now time.Time) Session {
	s.Issued = now.UTC().Truncate(time.Second)
	return s
}

// Expires returns when s ends, nil for never.
func (s Session) Expires() *time.Time {
	if s.Kiosk {
		return nil
	}
	return new(s.Issued.Add(SessionAge))
}

// Value returns the value of a cookie, another one each time.
func (s Session) Value() string {
	raw := make([]byte, sessionHead, sessionHead+sessionFacts+len(s.token)+16)
	id := sessionID(s.Token)
	raw[0] = sessionVersion
	copy(raw[1:], id[:])
	_, _ = rand.Read(raw[9:]) // never fails
	facts := binary.BigEndian.AppendUint64(nil, uint64(s.Issued.Unix()))
	facts = append(facts, 0)
	if s.Kiosk {
		facts[8] = 1
	}
	facts = append(facts, s.token...)
	return base64.RawURLEncoding.EncodeToString(sealer(s.Token).Seal(raw, raw[9:sessionHead], facts, raw[:9]))
}

// sessionID names a token in a cookie. It reveals nothing about the token or its sum.
func sessionID(sum TokenSum) (id [8]byte) {
	copy(id[:], derived(sum, "sunspool session id 1"))
	return id
}

func sealer(sum TokenSum) cipher.AEAD {
	block, err := aes.NewCipher(derived(sum, "sunspool session key 1"))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func derived(sum TokenSum, purpose string) []byte {
	h := hmac.New(sha256.New, sum[:])
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// Cookies is how a server sets and reads the cookie of a session.
type Cookies struct {
	Tokens  *Tokens
	Proxies Proxies
	Framed  bool // pages of other sites may frame ours
}

// Names of the cookie. A browser takes the second one only over TLS and from this very host, so nothing on the way and no
// other host of the domain can set it.
//
// A browser takes servers at several paths of one host for one. Where it has a cookie of that name already, of another server,
// the id of the token stands behind the name: each keeps its session. A path in the cookie would do the same, but a server does
// not know the one that its proxy takes away, and __Host- allows none.
const (
	cookiePlain  = "sunspool_session"
	cookieSecure = "__Host-sunspool_session"
)

// base is how the names of the cookies in requests like r begin.
func (k Cookies) base(r *http.Request) string {
	if k.Proxies.Secure(r) {
		return cookieSecure
	}
	return cookiePlain
}

// all returns the cookies of r that may be sessions, of this server or of another one at the same host.
func (k Cookies) all(r *http.Request) (all []*http.Cookie) {
	base := k.base(r)
	for _, c := range r.Cookies() {
		if c.Name == base || strings.HasPrefix(c.Name, base+"-") {
			all = append(all, c)
		}
	}
	return all
}

// Of returns the values of the cookies of r that may be sessions.
func (k Cookies) Of(r *http.Request) (values []string) {
	for _, c := range k.all(r) {
		values = append(values, c.Value)
	}
	return values
}

// Set gives a browser s, in an answer w to r; nil gives it none. Every other session of this server that r carries is taken
// away; those of other servers stay.
func (k Cookies) Set(w http.ResponseWriter, r *http.Request, s *Session, now time.Time) {
	name, ours := k.base(r), map[string]bool{}
	for _, c := range k.all(r) {
		if opened, _ := k.Tokens.Session(c.Value, now); opened.token != "" { // also one that is too old
			ours[c.Name] = true
		} else if s != nil && c.Name == k.base(r) {
			id := sessionID(s.Token)
			name = k.base(r) + "-" + hex.EncodeToString(id[:])
		}
	}
	if s != nil {
		delete(ours, name)
	}
	for _, other := range slices.Sorted(maps.Keys(ours)) {
		k.write(w, other, nil)
	}
	if s != nil {
		k.write(w, name, s)
	}
}

// write sets a cookie; nil takes it away. Over TLS there are two cookies of the name, one of which is for frames: the other one
// is taken away in any case, or it would outlive the logout. It comes first, because some browsers know one alone.
func (k Cookies) write(w http.ResponseWriter, name string, s *Session) {
	c := http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(name, cookieSecure) {
		c.Secure = true
		framed := c
		framed.SameSite, framed.Partitioned = http.SameSiteNoneMode, true // a browser sends it from within a frame of another site only so, and apart for each such site
		if k.Framed {
			c, framed = framed, c
		}
		http.SetCookie(w, &framed)
	}
	if s != nil {
		c.Value, c.MaxAge = s.Value(), int(SessionAge.Seconds())
		if s.Kiosk {
			c.MaxAge = int(kioskAge.Seconds())
		}
	}
	http.SetCookie(w, &c)
}

// Secure reports whether the client of r speaks TLS: to this server, or to a trusted proxy, by its X-Forwarded-Proto.
func (p Proxies) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if !p.has(address(r.RemoteAddr)) {
		return false
	}
	all := r.Header.Values("X-Forwarded-Proto")
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	return strings.EqualFold(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]), "https")
}
