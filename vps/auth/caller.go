package auth

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"

	"sunspool/vps/store"
)

// AnyDevice in place of a device lets a viewer read every device; and separates the names of several.
const (
	AnyDevice = "*"
	and       = "+" // no device has it in its name
)

// Caller is whom a token names: a device that may send its samples and read them, a viewer that may only read, or an admin,
// a viewer that may also create and revoke tokens.
type Caller struct {
	Device string // also several, see Devices, or AnyDevice, which no caller has that may send
	Viewer bool
	Admin  bool
}

// Operator is who is on the machine of the server.
var Operator = Caller{Device: AnyDevice, Viewer: true, Admin: true}

// ViewerOf returns a viewer of some devices.
func ViewerOf(devices ...string) Caller {
	return Caller{Device: viewed(strings.Join(devices, and)), Viewer: true}
}

// Role names what c may do.
func (c Caller) Role() string {
	switch {
	case c.Admin:
		return store.RoleAdmin
	case c.Viewer:
		return store.RoleViewer
	}
	return store.RoleDevice
}

func (c Caller) MayRead(device string) bool {
	return c.Device == AnyDevice || slices.Contains(c.Devices(), device)
}

// Devices returns the devices of c by name, nil when it may read every one.
func (c Caller) Devices() []string {
	if c.Device == AnyDevice {
		return nil
	}
	return strings.Split(c.Device, and)
}

// Bearer returns the token of a request, "" when it has none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// TokenSum is the SHA-256 of a token, by which slots, connections and streams are shared. Two tokens of one device count as
// two, because each belongs to a program of its own, and a stolen one must not block the other. The zero value is a caller
// without a token, where those are served.
type TokenSum [sha256.Size]byte

// SumOf returns the sum of a token.
func SumOf(token string) TokenSum { return sha256.Sum256([]byte(token)) }
