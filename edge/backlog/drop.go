package backlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/spool/format"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
	"sunspool/wire"
)

// DropConfig is the command line of `sunspool spool drop`.
type DropConfig struct {
	Files
	Refused
	Exported string `name:"exported" placeholder:"FILE" help:"Delete only what is in this file, which spool export wrote as JSON."`
	Yes      bool   `name:"yes" help:"Delete them although they are exported nowhere; in a terminal their number is asked for. Where there is no terminal, nothing is deleted without it."`
	JSON     bool   `name:"json" help:"One JSON document."`
}

// dropped is what drop answers.
type dropped struct {
	Path    string `json:"path"`
	Dropped int    `json:"dropped"`
	Removed bool   `json:"removed"` // the whole file
}

func (c Command) drop(ctx context.Context, config DropConfig) error {
	if config.Exported == "" && !config.Yes {
		return c.unconfirmed("what is deleted is lost, and nothing says that it was exported", "sunspool spool drop --all --exported FILE   # with a FILE of spool export; or with --yes")
	}
	if !c.Terminal && !config.Yes {
		return c.unconfirmed("nothing is deleted where there is no terminal to ask at", "sunspool spool drop --all --exported FILE --yes")
	}
	exported, err := readExported(config.Exported)
	if err != nil {
		return err
	}
	all, total := []dropped{}, 0
	for _, path := range config.all() {
		one := c.dropRefused
		if inspect.SetAside(path) != "" {
			one = c.dropFile
		}
		d, err := one(ctx, config, path, exported)
		if err != nil {
			return err
		}
		all, total = append(all, d), total+d.Dropped
		switch {
		case config.JSON:
		case d.Removed:
			fmt.Fprintf(c.Out, "%s is deleted, with %s\n", path, samples(d.Dropped))
		default:
			fmt.Fprintf(c.Out, "%s: %s of the quarantine are deleted\n", path, samples(d.Dropped))
		}
	}
	if config.JSON {
		return c.answer(map[string]any{"dropped": total, "spools": all})
	}
	return nil
}

const dropAtOnce = 50_000 // samples in a transaction

func (c Command) unconfirmed(what, next string) error {
	return &health.Fault{Code: "not_confirmed", Exit: health.ExitUsage, What: what, Next: next}
}

// dropRefused deletes samples of the quarantine of the spool at path: those that were found, and no others that come meanwhile.
func (c Command) dropRefused(ctx context.Context, config DropConfig, path string, exported *exported) (d dropped, err error) {
	d.Path = path
	choice, err := config.chosen("drop")
	if err != nil {
		return d, err
	}
	s, err := config.open(ctx, path, "drop")
	if err != nil {
		return d, err
	}
	defer s.Close()
	if err := wholeFor(s.Damage()); err != nil {
		return d, err
	}
	found := spool.Choice{}
	damaged := 0
	var first, last string
	err = s.Each(ctx, format.PartQuarantine, func(s spool.Stored) error {
		var at time.Time // zero of a damaged one
		if s.Sample != nil {
			at = s.Sample.Time
		}
		if !choice.Has(s.Number, s.Code, at) || !exported.has(s.Sample) {
			return nil
		}
		if found.Numbers = append(found.Numbers, s.Number); s.Sample == nil {
			damaged++
			return nil
		}
		if last = instant(&s.Sample.Time); first == "" {
			first = last
		}
		return nil
	})
	n := len(found.Numbers)
	if err != nil || n == 0 {
		return d, err
	}
	lost := fmt.Sprintf("%s: %s of the quarantine will be deleted", path, samples(n))
	if first != "" {
		lost += ", of " + first + " to " + last
	}
	if damaged > 0 {
		lost += fmt.Sprintf("; %d of them are damaged and cannot be exported", damaged)
	}
	if err := c.confirm(lost, n, exported); err != nil {
		return d, err
	}
	for some := range slices.Chunk(found.Numbers, dropAtOnce) {
		n, err := s.Drop(ctx, spool.Choice{Numbers: some})
		if d.Dropped += n; err != nil {
			return d, err
		}
	}
	return d, nil
}

// dropFile deletes a file that was set aside.
func (c Command) dropFile(ctx context.Context, config DropConfig, path string, exported *exported) (d dropped, err error) {
	d.Path = path
	s, err := config.open(ctx, path, "drop")
	if err != nil {
		return d, err
	}
	n, missing := 0, 0
	for _, part := range []string{format.PartWaiting, format.PartUndated, format.PartQuarantine} {
		err = errors.Join(err, s.Each(ctx, part, func(s spool.Stored) error {
			if n++; !exported.has(s.Sample) {
				missing++
			}
			return nil
		}))
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return d, err
	}
	if missing > 0 {
		return d, &health.Fault{Code: "not_exported", What: fmt.Sprintf("%s that can be read in %s are not in %s", samples(missing), path, config.Exported), Next: "sunspool spool export " + health.Quote(path) + " -o OUT"}
	}
	_, unreadable := s.Damage()
	lost := fmt.Sprintf("%s will be deleted, with %s that can be read in it", path, samples(n))
	if unreadable > 0 {
		lost += fmt.Sprintf(" and %d that cannot", unreadable)
	}
	if err := c.confirm(lost, n, exported); err != nil {
		return d, err
	}
	if err := inspect.RemoveAside(path); err != nil {
		return d, err
	}
	d.Dropped, d.Removed = n, true
	return d, nil
}

// confirm says what will be lost, and asks for the number of samples unless they are exported.
func (c Command) confirm(lost string, n int, exported *exported) error {
	if exported != nil {
		lost += "; they are in the exported file"
	} else {
		lost += ". They are lost then"
	}
	if _, err := fmt.Fprintln(c.Err, lost+"."); err != nil {
		return err
	}
	if exported != nil || !c.Terminal {
		return nil
	}
	fmt.Fprintf(c.Err, "Type their number to delete them: ")
	line, err := bufio.NewReader(c.In).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the answer: %w", err)
	}
	if typed, err := strconv.Atoi(strings.TrimSpace(line)); err != nil || typed != n {
		return c.unconfirmed("nothing is deleted: the number was not typed", "sunspool spool quarantine")
	}
	return nil
}

// exported is what a file of spool export has.
type exported map[string][]wire.Sample

func keyOf(s *wire.Sample) string {
	return s.DeviceID + " " + s.Time.UTC().Format("20060102150405.000")
}

// has reports whether a sample is in the file. Without a file each is; a record that is damaged is in none.
func (e *exported) has(s *wire.Sample) bool {
	if e == nil {
		return true
	}
	if s == nil {
		return false
	}
	for _, o := range (*e)[keyOf(s)] {
		if o.Equal(s) {
			return true
		}
	}
	return false
}

// readExported reads a file of spool export: a sample, or a batch, a line.
func readExported(path string) (*exported, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &health.Fault{Code: "export_unreadable", What: "what was exported cannot be read", Err: err, Next: "write the path of a file of spool export behind --exported"}
	}
	all := exported{}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var line struct {
			wire.Sample
			Samples []wire.Sample `json:"samples"`
		}
		err := d.Decode(&line)
		if err == io.EOF {
			return &all, nil
		}
		if err != nil {
			return nil, &health.Fault{Code: "export_unreadable", What: path + " is no JSON of spool export", Err: err, Next: "sunspool spool export --quarantine -o FILE   # and not as CSV"}
		}
		if line.Samples == nil {
			line.Samples = []wire.Sample{line.Sample}
		}
		for _, s := range line.Samples {
			all[keyOf(&s)] = append(all[keyOf(&s)], s)
		}
	}
}

// notAside refuses a file that was set aside: no edge sends what is in it.
func notAside(path, command string) error {
	if inspect.SetAside(path) == "" {
		return nil
	}
	return usage(path+" was set aside: no edge delivers it", "sunspool spool export "+health.Quote(path)+" -o OUT")
}
