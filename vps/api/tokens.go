package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sunspool/internal/qrcode"
	"sunspool/vps/auth"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

const (
	maxWish     = 96 << 10 // bytes: a token may name 1000 devices
	longestPage = 500
)

var (
	errNoSuchToken = problem.New(404, "no_such_token", "There is no token of this ID.").WithNext("GET /v1/tokens lists them with their IDs")
	errTokenName   = problem.New(409, "token_name_taken", "Another token has this name.").WithNext("choose another name, or revoke that token first")
	errTokenTaken  = problem.New(409, "token_taken", "Another token has this secret.").WithNext("choose another one, or leave `secret` out: then one is made")
	errTokensFull  = problem.New(409, "too_many_tokens", fmt.Sprintf("There are %d tokens, as many as there may be.", store.MaxTokens)).WithNext("revoke those that are not used")
)

// Token is a token of the store as it is shown: without its secret and its sum.
type Token struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Devices []string   `json:"devices"` // null for all
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"used"`    // last; null for never
	Expires *time.Time `json:"expires"` // null for never
	Revoked *time.Time `json:"revoked"` // null if it is not

	Own bool `json:"own,omitempty"` // the caller's
}

// TokenList is the answer of GET /v1/tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// NewToken is a token with its secret, which is shown this once.
type NewToken struct {
	Secret string `json:"secret"`
	Token  Token  `json:"token"`
	Login  *Login `json:"login,omitempty"` // of a reader, if the address of the page was given
}

// Login opens the page with a token.
type Login struct {
	Link string      `json:"link"`
	QR   qrcode.Path `json:"qr"` // of the link
}

// TokenWish is the body of POST /v1/tokens.
type TokenWish struct {
	Role    string     `json:"role"`
	Name    string     `json:"name"`
	Devices []string   `json:"devices,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Secret  string     `json:"secret,omitempty"`
	Page    string     `json:"page,omitempty"` // address of the page, of which a link is made
}

func tokenShown(t store.Token) Token {
	return Token{t.ID, t.Name, t.Role, t.Devices, t.Created, orNull(t.Used), orNull(t.Expires), orNull(t.Revoked), false}
}

func orNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// listTokens answers GET /v1/tokens.
func (s *Server) listTokens(c *request.Request) (any, error) {
	all, err := request.Ask(&s.Gate, c, "tokens", s.Issuer.List)
	if err != nil {
		return nil, err
	}
	list := TokenList{Tokens: make([]Token, 0, len(all))}
	for _, t := range all {
		if t.Role == store.RolePairing { // it opens nothing
			continue
		}
		shown := tokenShown(t)
		shown.Own = bytes.Equal(t.Sum, c.Token[:])
		list.Tokens = append(list.Tokens, shown)
	}
	return list, nil
}

// createToken answers POST /v1/tokens.
func (s *Server) createToken(c *request.Request) (any, error) {
	body, err := c.ReadSmall(maxWish)
	if err == nil {
		err = s.StillMay(c)
	}
	if err != nil {
		return nil, err
	}
	var wish TokenWish
	if err := json.Unmarshal(body, &wish); err != nil {
		return nil, problem.Invalid("json_invalid", "Input should be an object with role, name, devices, and perhaps expires, an RFC 3339 time, and secret", "body")
	}
	w := auth.Wish{Role: wish.Role, Name: wish.Name, Devices: wish.Devices, Secret: wish.Secret}
	if wish.Expires != nil {
		w.Expires = *wish.Expires
	}
	page, fit := auth.PageAddress(wish.Page)
	if wish.Page != "" && (!fit || len(wish.Page) > longestPage) {
		return nil, problem.Invalid("token_invalid", fmt.Sprintf("is not the address of a page of at most %d bytes, such as https://solar.example.org", longestPage), "body", "page")
	}
	made, err := request.Ask(&s.Gate, c, "create_token", func(ctx context.Context) (NewToken, error) {
		t, secret, err := s.Issuer.Create(ctx, w)
		return NewToken{Secret: secret, Token: tokenShown(t)}, err
	})
	if err != nil {
		return nil, tokenRefusal(err)
	}
	if fit && made.Token.Role != store.RoleDevice {
		made.Login = loginOf(auth.LoginLink(page, made.Secret))
	}
	return made, nil
}

// loginOf draws a link; nil if it is too long for that: the token is made, and its secret must not be lost for a picture.
func loginOf(link string) *Login {
	qr, err := qrcode.PathOf(link)
	if err != nil {
		return nil
	}
	return &Login{link, qr}
}

// revokeToken answers DELETE /v1/tokens/{id}.
func (s *Server) revokeToken(c *request.Request) (any, error) {
	revoked, err := request.Ask(&s.Gate, c, "revoke_token", func(ctx context.Context) (store.Token, error) {
		return s.Issuer.Revoke(ctx, c.HTTP.PathValue("id"))
	})
	return tokenShown(revoked), tokenRefusal(err)
}

// tokenRefusal is what a caller is answered who asked for what cannot be.
func tokenRefusal(err error) error {
	if unfit, ok := errors.AsType[*auth.Unfit](err); ok {
		return problem.Invalid("token_invalid", unfit.What, "body", unfit.Field)
	}
	switch {
	case errors.Is(err, store.ErrNoToken):
		return errNoSuchToken
	case errors.Is(err, store.ErrTokenName):
		return errTokenName
	case errors.Is(err, store.ErrTokenTaken):
		return errTokenTaken
	case errors.Is(err, store.ErrTokensFull):
		return errTokensFull
	}
	return err
}
