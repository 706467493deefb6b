package auth

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
)

// issuing is an issuer on a store of its own, with a clock that the test moves.
type issuing struct {
	*Issuer
	t    *testing.T
	now  time.Time
	log  bytes.Buffer
	file string
}

func newIssuing(t *testing.T) *issuing {
	t.Helper()
	i := &issuing{t: t, now: vpstest.Now, file: filepath.Join(t.TempDir(), "vps.db")}
	db, err := bolt.Open(i.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tokens, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":*")
	if err != nil {
		t.Fatal(err)
	}
	i.Issuer = &Issuer{Store: db, Tokens: tokens, Log: slog.New(slog.NewJSONHandler(&i.log, nil)), Now: func() time.Time { return i.now }}
	return i
}

func (i *issuing) create(w Wish) (store.Token, string) {
	i.t.Helper()
	t, secret, err := i.Create(i.t.Context(), w)
	if err != nil {
		i.t.Fatal(err)
	}
	return t, secret
}

// A token is whom it was made for, at once and until it ends; its session ends with it, and the tokens of the settings go on.
func TestATokenOfTheStoreIsValidUntilItEnds(t *testing.T) {
	for _, c := range []struct {
		wish   Wish
		prefix string
		who    Caller
	}{
		{Wish{Role: store.RoleDevice, Name: "d", Devices: []string{"shed", "barn", "shed"}}, "ssd_", Caller{Device: "barn+shed"}},
		{Wish{Role: store.RoleViewer, Name: "v", Devices: []string{"barn"}}, "ssv_", Caller{Device: "barn", Viewer: true}},
		{Wish{Role: store.RoleViewer, Name: "v", Devices: []string{AnyDevice}}, "ssv_", Caller{Device: AnyDevice, Viewer: true}},
		{Wish{Role: store.RoleAdmin, Name: "a"}, "ssa_", Operator},
		{Wish{Role: store.RoleViewer, Name: "given", Devices: []string{"barn"}, Secret: "given-0123456789"}, "given-", Caller{Device: "barn", Viewer: true}},
	} {
		for _, end := range []string{"revoked", "expired"} {
			i := newIssuing(t)
			if end == "expired" {
				c.wish.Expires = i.now.Add(time.Hour)
			}
			token, secret := i.create(c.wish)
			if !strings.HasPrefix(secret, c.prefix) || c.wish.Secret == "" && !regexp.MustCompile(`^ss[dva]_[0-9a-f]{40}$`).MatchString(secret) {
				t.Errorf("%+v: the secret is %q", c.wish, secret)
			}
			if who, known := i.Tokens.Find(secret, i.now); !known || who != c.who {
				t.Errorf("%+v is %+v, %v", c.wish, who, known)
			}
			session, _ := i.Tokens.NewSession(secret, true, i.now)
			if s, ok := i.Tokens.Session(session.Value(), i.now); !ok || s.Admin != c.who.Admin || !s.Viewer {
				t.Errorf("%+v: its session is %+v, %v", c.wish, s.Caller, ok)
			}
			if i.now = i.now.Add(time.Hour); end == "revoked" {
				if _, err := i.Revoke(t.Context(), token.ID); err != nil {
					t.Fatal(err)
				}
			}
			if _, known := i.Tokens.Find(secret, i.now); known {
				t.Errorf("%+v is valid, %s", c.wish, end)
			}
			if _, ok := i.Tokens.Session(session.Value(), i.now); ok {
				t.Errorf("%+v: its session goes on, %s", c.wish, end)
			}
			if _, known := i.Tokens.Find(vpstest.Token1, i.now); !known {
				t.Error("a token of the settings is gone")
			}
			if devices := i.Tokens.Devices(); slices.Contains(devices, "barn") != (end == "expired" && c.who.Device == "barn+shed") { // until the next look
				t.Errorf("%+v: devices %v, %s", c.wish, devices, end)
			}
		}
	}
}

func TestTokensThatCannotBeAreRefused(t *testing.T) {
	i := newIssuing(t)
	good := Wish{Role: store.RoleViewer, Name: "Family", Devices: []string{"roof"}}
	i.create(good)
	for field, change := range map[string]func(*Wish){
		"role":               func(w *Wish) { w.Role = "owner" },
		"name":               func(w *Wish) { w.Name = " " },
		"name, long":         func(w *Wish) { w.Name = strings.Repeat("ä", 101) },
		"name, two lines":    func(w *Wish) { w.Name = "a\nb" },
		"devices":            func(w *Wish) { w.Devices = nil },
		"devices, odd":       func(w *Wish) { w.Devices = []string{"ro of"} },
		"devices, * and one": func(w *Wish) { w.Devices = []string{"roof", AnyDevice} },
		"devices, many":      func(w *Wish) { w.Devices = slices.Repeat([]string{"roof"}, 1001) },
		"devices, device":    func(w *Wish) { w.Role, w.Devices = store.RoleDevice, []string{AnyDevice} },
		"devices, no device": func(w *Wish) { w.Role, w.Devices = store.RoleDevice, nil },
		"devices, admin":     func(w *Wish) { w.Role = store.RoleAdmin },
		"expires":            func(w *Wish) { w.Expires = i.now },
		"secret":             func(w *Wish) { w.Secret = "shorter-than-16" },
		"secret, long":       func(w *Wish) { w.Secret = strings.Repeat("x", longestToken+1) },
		"secret, odd":        func(w *Wish) { w.Secret = "with a space 0123456789" },
	} {
		w := good
		w.Name = "Other"
		change(&w)
		_, _, err := i.Create(t.Context(), w)
		unfit, ok := errors.AsType[*Unfit](err)
		if !ok || unfit.Field != strings.Split(field, ",")[0] || !store.Refused(err) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for want, change := range map[error]func(*Wish){
		store.ErrTokenName:  func(w *Wish) { w.Name = "Family" },
		store.ErrTokenTaken: func(w *Wish) { w.Secret = vpstest.Viewer1 },
	} {
		w := good
		w.Name = "Other"
		change(&w)
		if _, _, err := i.Create(t.Context(), w); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if all, err := i.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d tokens are there, %v", len(all), err)
	}
}

// What is written is the sum: a secret is neither in the file nor in the log, however long the token lives.
func TestNoSecretIsKept(t *testing.T) {
	i := newIssuing(t)
	const given = "canary-0123456789abcdef"
	one, made := i.create(Wish{Role: store.RoleViewer, Name: "one", Devices: []string{"roof"}})
	i.create(Wish{Role: store.RoleAdmin, Name: "two", Secret: given})
	i.Tokens.Find(given, i.now)
	i.note(t.Context())
	if _, err := i.Revoke(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(i.file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte(one.ID)) || !bytes.Contains(i.log.Bytes(), []byte(one.ID)) {
		t.Fatal("the token is not in what is searched")
	}
	for _, secret := range []string{given, made, strings.TrimPrefix(made, "ssv_")} {
		if bytes.Contains(file, []byte(secret)) || bytes.Contains(i.log.Bytes(), []byte(secret)) {
			t.Errorf("%.8s… is in the file or in the log", secret)
		}
	}
}

// The use of a token is written once a minute and at the end, not when it is used.
func TestUseIsNotedOnceAMinute(t *testing.T) {
	i := newIssuing(t)
	token, secret := i.create(Wish{Role: store.RoleViewer, Name: "v", Devices: []string{"roof"}})
	used := func() time.Time {
		all, err := i.List(t.Context())
		if err != nil || len(all) != 1 || all[0].ID != token.ID {
			t.Fatal(all, err)
		}
		return all[0].Used
	}
	i.Tokens.Find(secret, i.now)
	if !used().IsZero() {
		t.Error("it is written at once")
	}
	i.note(t.Context())
	if !used().Equal(vpstest.Now) {
		t.Errorf("used %v", used())
	}
	if again, _ := i.Tokens.uses(); len(again) != 0 {
		t.Errorf("%v is to be written again", again)
	}
	if err := i.Read(t.Context()); err != nil { // and what was used since is not forgotten
		t.Fatal(err)
	}
	session, _ := i.Tokens.NewSession(secret, false, i.now)
	i.Tokens.Session(session.Value(), i.now.Add(time.Minute))
	if err := i.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.note(t.Context())
	if !used().Equal(vpstest.Now.Add(time.Minute)) {
		t.Errorf("used %v", used())
	}
	i.Tokens.Find(secret, i.now.Add(2*time.Minute)) // also of one that is revoked before that is written
	if _, err := i.Revoke(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	i.note(t.Context())
	if !used().Equal(vpstest.Now.Add(2 * time.Minute)) {
		t.Errorf("revoked, it was used %v", used())
	}
}

// What another process changes is known within five seconds; while the store is away, what was known stays.
func TestTheChangesOfOthersAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &memory{}
		here, there := &issuing{t: t}, &issuing{t: t}
		for _, i := range []*issuing{here, there} {
			i.Issuer = &Issuer{Store: shared, Tokens: new(Tokens), Log: slog.New(slog.NewJSONHandler(&i.log, nil))}
			if err := i.Tokens.Replace("store", ""); err != nil {
				t.Fatal(err)
			}
		}
		here.Tokens.ExpectStored()
		if !here.Tokens.Unread() {
			t.Error("the tokens were read before they were")
		}
		go here.Run(t.Context())
		known := func(secret string) bool { _, known := here.Tokens.Find(secret, time.Now()); return known }

		one, secret := there.create(Wish{Role: store.RoleViewer, Name: "v", Devices: []string{"roof"}})
		time.Sleep(5 * time.Second)
		if !known(secret) || here.Tokens.Unread() {
			t.Fatal("a token that another process made is unknown")
		}
		shared.fail(store.ErrUnavailable)
		time.Sleep(time.Hour)
		if !known(secret) {
			t.Error("it is forgotten while the store is away")
		}
		shared.fail(nil)
		replaced := here.Tokens.Replaced()
		if _, err := there.Revoke(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if known(secret) {
			t.Error("a token that another process revoked is valid")
		}
		select {
		case <-replaced:
		default:
			t.Error("its streams do not hear of it")
		}
		if n := strings.Count(here.log.String(), "cannot be read"); n != 1 || strings.Count(here.log.String(), "read again") != 1 {
			t.Errorf("an hour without the store is %d lines:\n%s", n, here.log.String())
		}
		if n := shared.reads(); n > 100 {
			t.Errorf("all tokens were read %d times in an hour", n)
		}
	})
}
