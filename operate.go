package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"sunspool/vps"
)

// operate does what the operator asks of the vps of this machine.
func (c *commands) operate(ctx context.Context, command string, stdout io.Writer) error {
	switch command {
	case "vps backup":
		return vps.Backup(ctx, vps.Config(c.VPS.Settings), c.VPS.Backup, stdout, isTerminal(stdout))
	case "vps verify":
		return vps.Verify(ctx, c.VPS.Verify, stdout)
	case "vps restore":
		return vps.Restore(ctx, vps.Config(c.VPS.Settings), c.VPS.Restore, stdout)
	case "token create":
		return vps.CreateToken(ctx, c.Token.Server, c.Token.Create, os.Stdin, stdout, isTerminal(stdout))
	case "token list":
		return vps.ListTokens(ctx, c.Token.Server, c.Token.List, stdout)
	case "token revoke":
		return vps.RevokeToken(ctx, c.Token.Server, c.Token.Revoke, stdout)
	case "site set":
		return vps.SetSite(ctx, c.Site.Server, c.Site.Set, stdout)
	case "site list":
		return vps.ListSites(ctx, c.Site.Server, c.Site.List, stdout)
	case "site remove":
		return vps.RemoveSite(ctx, c.Site.Server, c.Site.Remove, stdout)
	}
	return fmt.Errorf("bug: no code for the command %q", command)
}
