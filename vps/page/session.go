package page

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/request"
)

// maxLogin is more than any token needs, loginTime more than a slow line.
const (
	maxLogin  = 4 << 10
	loginTime = 5 * time.Second
)

// session is the answer of /v1/session.
type session struct {
	Role    string     `json:"role"`    // device or viewer
	Devices []string   `json:"devices"` // that may be read; null for all
	Expires *time.Time `json:"expires"` // null for never
	Open    bool       `json:"open"`    // without a token
}

// sessionOf returns the answer about a caller that is known.
func sessionOf(c *request.Request) session {
	s := session{Role: "viewer", Devices: c.Caller.Devices(), Open: c.Anonymous()}
	if !c.Caller.Viewer {
		s.Role = "device"
	}
	if c.Session != nil {
		s.Expires = c.Session.Expires()
	}
	return s
}

// Session answers what the caller may read, and until when.
func (p *Pages) Session(c *request.Request) (any, error) {
	if known(c) {
		return sessionOf(c), nil
	}
	who, err := p.Gate.Identify(c)
	if err != nil {
		return nil, err
	}
	c.Caller = who
	return sessionOf(c), nil
}

// LogIn begins a session: a cookie in place of the token of the body.
func (p *Pages) LogIn(c *request.Request) (any, error) {
	body, err := readLogin(c)
	if err != nil {
		return nil, err
	}
	var login struct {
		Token string `json:"token"`
		Kiosk bool   `json:"kiosk"`
	}
	if err := json.Unmarshal(body, &login); err != nil {
		return nil, problem.Invalid("json_invalid", "Input should be an object with token, a text", "body")
	}
	if err := p.Gate.LogIn(c, login.Token, login.Kiosk); err != nil {
		return nil, err
	}
	return sessionOf(c), nil
}

// LogOut takes the cookie away. The server keeps no list of sessions: a copy of the cookie ends with its token.
func (p *Pages) LogOut(c *request.Request) (any, error) {
	p.Gate.SetSession(c, nil)
	return statusOK, nil
}

// readLogin reads a body whose sender may be anybody.
func readLogin(c *request.Request) ([]byte, error) {
	c.ReadWithin(loginTime)
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.HTTP.Body, maxLogin))
	c.BytesIn = int64(len(body))
	if _, long := err.(*http.MaxBytesError); long {
		return nil, request.ErrTooLarge
	}
	if err != nil {
		return nil, request.ErrBadBody
	}
	c.Unread = false
	return body, nil
}
