// Package token finds the token by which the server identifies the device, and reads it again when its file changes.
package token

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/wire"
)

// Credential is the name under which a service manager passes the token to the edge (LoadCredential=).
const Credential = "vps-device-token"

// ErrNone is the error of a token that is set nowhere.
var ErrNone = errors.New("there is no token")

// Source is where the edge's token comes from: the file is read again when it changes, so that a new token needs no
// restart. It is never logged.
type Source struct {
	Value string // the token that is used; the file wins when it changes
	file  string
	place inverter.Place // of the inverter whose token it is
	read  time.Time      // modification time of the file when Value was read

	trouble error // why a file that changed is not used
	size    int64
}

// New takes the token from value, else from file, else from the systemd credential. Where there are several tokens,
// separated by commas in value and by lines in a file, each of several inverters has its own. The error is ErrNone if there
// is none.
func New(value, file string, place inverter.Place) (*Source, error) {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); value == "" && file == "" && dir != "" && !blank(filepath.Join(dir, Credential)) {
		file = filepath.Join(dir, Credential)
	}
	t := &Source{file: file, place: place}
	if value = strings.TrimSpace(value); value != "" {
		var err error
		t.file = ""
		if t.Value, err = t.own(value, ","); err == nil {
			err = validToken(t.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Setting(), err)
		}
		return t, nil
	}
	if file == "" {
		return nil, ErrNone
	}
	_, err := t.Get()
	return t, err
}

// Get returns the token. A file that changed is read again; if it can no longer be read, the last token stays in use.
func (t *Source) Get() (string, error) {
	if t.file == "" {
		return t.Value, nil
	}
	info, err := os.Stat(t.file)
	if err == nil && info.ModTime().Equal(t.read) && info.Size() == t.size && t.Value != "" {
		return t.Value, nil
	}
	if err == nil && !t.IsCredential() && settings.CheckSecretFile(t.file, info) != nil {
		err = &health.Fault{
			Code: "token_readable", Exit: health.ExitConfig,
			What: "the token file " + t.file + " can be read by other users: chmod 600 " + t.file,
		}
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(t.file)
	}
	fresh := strings.TrimSpace(string(b))
	if err == nil {
		fresh, err = t.own(fresh, "\n")
	}
	if err == nil {
		err = validToken(fresh)
	}
	if t.trouble = err; err != nil {
		if t.Value != "" {
			return t.Value, nil
		}
		return "", fmt.Errorf("%s: %w", t.Setting(), err)
	}
	t.Value, t.read, t.size = fresh, info.ModTime(), info.Size()
	return t.Value, nil
}

// Setting returns the name of the setting, or of the credential, that the token comes from.
func (t *Source) Setting() string {
	switch {
	case t.file == "":
		return "VPS_DEVICE_TOKEN"
	case t.IsCredential():
		return "the credential " + filepath.Base(t.file)
	}
	return "VPS_DEVICE_TOKEN_FILE"
}

// own returns the token of this inverter out of text. A single one is that of all inverters.
func (t *Source) own(text, between string) (string, error) {
	if !t.place.Several() {
		return text, nil
	}
	var all []string
	for token := range strings.SplitSeq(text, between) {
		if token = strings.TrimSpace(token); token != "" {
			all = append(all, token)
		}
	}
	switch len(all) {
	case 0, 1:
		return strings.Join(all, ""), nil
	case t.place.Of:
		return all[t.place.Index], nil
	}
	return "", fmt.Errorf("there are %d tokens for the %d inverters of SUNGROW_SLAVE_ID: write one for each, in their order", len(all), t.place.Of)
}

// Problem returns why a file that changed is not used, nil if it is.
func (t *Source) Problem() error { return t.trouble }

// Path is the file that the token is read from, "" if it is in a setting.
func (t *Source) Path() string { return t.file }

// IsCredential reports whether the token is in a file of the service manager, which has a mode of its own and is
// readable by no other user.
func (t *Source) IsCredential() bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(t.file) == filepath.Clean(dir)
}

// blank reports whether a file has nothing in it: where no credential was written, our units pass an empty one.
func blank(file string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(b)) == ""
}

// assignment matches the beginning of a line of an environment file that sets a token.
var assignment = regexp.MustCompile(`(?i)^[a-z_]*token[a-z_]*=[^=]`)

// validToken refuses what cannot be in an Authorization header, what is not a token but contains one, and what can be
// guessed. The error does not repeat it.
func validToken(s string) error {
	switch {
	case s == "":
		return errors.New("the token is empty")
	case strings.ContainsAny(s, "\r\n"):
		return errors.New("there is more than one line: write the token alone")
	case strings.HasPrefix(strings.ToLower(s), "bearer "):
		return errors.New("the token begins with Bearer: write the token alone")
	case assignment.MatchString(s):
		return errors.New("there is a whole setting, with its name and =: write the token alone")
	case strings.HasPrefix(s, "sha256:"):
		return errors.New("this is the hash of a token, which is for the server: write the token itself")
	case strings.Trim(s, "\"'`") != s:
		return errors.New("the token has quotes around it, which an environment file of Docker does not take away: write it without")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return fmt.Errorf("the token has a character at position %d that is not printable ASCII", i+1)
	}
	if len(s) < wire.ShortestToken {
		return fmt.Errorf("the token has %d characters, at least %d are needed: openssl rand -hex 32 makes a good one, for the server and here", len(s), wire.ShortestToken)
	}
	return nil
}
