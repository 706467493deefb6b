package page

import (
	"encoding/json"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/request"
)

const maxLogin = 4 << 10 // more than any token needs

// session is the answer of /v1/session.
type session struct {
	Role    string     `json:"role"`    // device, viewer or admin
	Devices []string   `json:"devices"` // that may be read; null for all
	Expires *time.Time `json:"expires"` // null for never
	Open    bool       `json:"open"`    // without a token
}

// sessionOf returns the answer about a caller that is known.
func sessionOf(c *request.Request) session {
	s := session{Role: c.Caller.Role(), Devices: c.Caller.Devices(), Open: c.Anonymous()}
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
	body, err := c.ReadSmall(maxLogin)
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
