package main

import (
	"coze-token/internal/config"
	"coze-token/internal/fault"
	"coze-token/internal/native"
	"coze-token/internal/redis"
)

// machineFaults is what only this machine can tell is wrong with settings that were read well. serve does not start for them,
// and check finds them: without opening what serve opens, since it may be another user's.
func machineFaults(s *config.Settings) config.Faults {
	var faults config.Faults
	if s.AuditFile != "" {
		if err := native.CheckAudit(s.AuditFile); err != nil {
			faults = append(faults, auditFault(err))
		}
	}
	if url := s.RedisURL.Reveal(); url != "" {
		for _, f := range fault.Of(redis.CheckURL(url)) {
			faults = append(faults, config.Fault{Name: "REDIS_URL", Problem: f.Problem, Remedy: f.Remedy})
		}
	}
	return append(faults, certificateFaults(s)...)
}

func auditFault(err error) config.Fault {
	return config.Fault{Name: "AUDIT_FILE", Problem: "cannot be opened: " + cause(err), Remedy: "name a file that this process may write"}
}

// certificateFaults says whether the two files of TLS belong together. That each is there, and what it should be, is seen before.
func certificateFaults(s *config.Settings) config.Faults {
	if s.TLSCertFile == "" || s.TLSKeyFile == "" {
		return nil
	}
	if _, err := native.Certificate(s.TLSCertFile, s.TLSKeyFile); err != nil {
		return config.Faults{{
			Name:    "TLS_CERT_FILE",
			Problem: "cannot be used with TLS_KEY_FILE: " + cause(err),
			Remedy:  "name the certificate chain and the private key that was made with it, both in PEM form",
		}}
	}
	return nil
}
