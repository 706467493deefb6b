package doctor

import (
	"slices"
	"strings"

	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// areaOf is the area of a code that an edge reports, "" for those that are looked at otherwise.
func areaOf(code string) string {
	switch code {
	case "poison_quarantined", "quarantine_full":
		return "" // by their number, see spool
	case "schema_mismatch", "samples_refused", "body_limit", "device_renamed":
		return areaUpload
	case "clock_ahead", "clock_disputed", "clock_unsynced":
		return areaClock
	case "disk_full", "disk_readonly", "disk_error":
		return areaDisk
	case "file_awaited", "file_missing":
		return areaConfig
	case "meter_lost", "registers_contradict":
		return areaInverter
	}
	switch before, _, _ := strings.Cut(code, "_"); before {
	case "inverter", "reading":
		return areaInverter
	case "spool":
		return areaSpool
	}
	return ""
}

// AreaOf is the area that explains a code which an edge reports, "" for all of them.
func AreaOf(code string) string {
	switch code {
	case "poison_quarantined", "quarantine_full":
		return areaSpool
	case "credential", "endpoint_identity", "tls", "proxy", "proxy_unreachable", "batch_refused", "batch_too_large":
		return areaUpload
	}
	if strings.HasPrefix(code, "vps_") {
		return areaUpload
	}
	return areaOf(code)
}

// reported is what an edge reports of an area, besides links that are broken.
func reported(area string, one *edge) (all []Check) {
	for _, code := range one.health.Reasons {
		ofLink := slices.ContainsFunc(one.health.Links, func(l health.Status) bool {
			return l.State == health.Broken && (l.Code == code || l.Name+"_broken" == code)
		})
		if ofLink || areaOf(code) != area {
			continue
		}
		c := warn(area, &health.Fault{What: one.name() + "the edge reports " + code, Next: "sudo sunspool status"})
		if code == one.health.Reason {
			what, why, _ := strings.Cut(one.health.Sentence, ": ")
			c.What, c.Why, c.Next = one.name()+what, why, one.health.Next
		}
		c.Code = code
		if one.health.Status == report.StateBlocked && code == one.health.Reason {
			c.State = checklist.Fail
		}
		all = append(all, c)
	}
	return all
}
