package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"sunspool/cli/check"
	"sunspool/cli/doctor"
	"sunspool/cli/export"
	"sunspool/cli/setup"
	"sunspool/edge/backlog"
	"sunspool/edge/probe"
	"sunspool/internal/checklist"
	"sunspool/vps"
)

// operate does what an operator asks of what runs on this machine, or of an inverter.
func (c *commands) operate(ctx context.Context, command string, stdout, stderr io.Writer) error {
	style := checklist.Style{Plain: checklist.PlainLocale(), Colours: c.colours(stdout)}
	if verb, ok := strings.CutPrefix(command, "spool "); ok {
		do := backlog.Command{In: os.Stdin, Out: stdout, Err: stderr, Terminal: c.asks(stderr)}
		return do.Run(ctx, verb, c.Spool)
	}
	switch command {
	case "check":
		var service commands
		service.Edge.Complete = true
		sel, err := service.parse([]string{c.Check.Role}) // of the edge it validates, too
		if err != nil {
			err = asUsage(sel, err)
		}
		return c.Check.Do(ctx, check.Service{Settings: sel, Err: err, Edge: service.Edge, VPS: vps.Config(service.VPS.Settings), Version: buildVersion()}, stdout, style)
	case "export":
		return export.Export{Out: stdout, Err: stderr, Version: buildVersion()}.Do(ctx, c.Export)
	case "setup":
		s := setup.Setup{Version: buildVersion(), In: os.Stdin, Out: stdout, Terminal: c.asks(stdout), Style: style}
		return s.Do(ctx, c.Setup)
	case "status":
		return c.Status.do(ctx, stdout, redraws(stdout), style)
	case "doctor":
		return doctor.Doctor{Version: buildVersion(), Out: stdout, Style: style}.Do(ctx, c.Doctor)
	case "probe":
		return probe.Command{Out: stdout, Err: stderr, Terminal: redraws(stderr), Style: style}.Run(ctx, c.Probe)
	case "vps pair":
		return vps.Pair(ctx, vps.MachineConfig{DataDir: c.VPS.Settings.DataDir, AdminSocket: c.VPS.Settings.AdminSocket}, c.VPS.Pair, stdout)
	case "vps fingerprint":
		return vps.Fingerprint(vps.Config(c.VPS.Settings), c.VPS.Print, stdout)
	case "vps backup":
		return vps.Backup(ctx, vps.Config(c.VPS.Settings), c.VPS.Backup, stdout, redraws(stdout))
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

// buildVersion is the release's version, or the commit that this was built from.
func buildVersion() string {
	if version != "devel" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return version + "-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return version
}
