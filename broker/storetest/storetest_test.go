package storetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker/storetest"
)

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storetest.Run(t, &storetest.Memory{}, "x/", time.Second)
	})
}
